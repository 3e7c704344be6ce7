import Foundation
import PrivateServers

/// Submits a workload with real `onewrite submit` processes, several at a time.
package struct Submitters: Sendable {
    package let servers: Shop
    /// How long each submitter takes for one file, its rest included.
    package let pace: Duration

    package init(servers: Shop, pace: Duration) {
        self.servers = servers
        self.pace = pace
    }

    /// Submits everything and returns all answers.
    package func run(_ workload: Workload) async throws -> [Submission] {
        try await withThrowingTaskGroup { tasks in
            for (number, files) in workload.files.enumerated() {
                tasks.addTask {
                    var submissions: [Submission] = []
                    for (index, changes) in files.enumerated() where !changes.isEmpty {
                        let next = ContinuousClock.now + pace
                        submissions += try await submit(changes, named: "orders-\(number)-\(index)")
                        try await Task.sleep(until: next, clock: .continuous)
                    }
                    return submissions
                }
            }
            return try await tasks.reduce(into: []) { $0 += $1 }
        }
    }

    /// Submits changes in their order, through a file of this name.
    package func submit(_ changes: [PlannedChange], named name: String) async throws -> [Submission] {
        let path = "\(servers.directory)/\(name).ndjson"
        let text = changes.map { $0.json + "\n" }.joined()
        try Data(text.utf8).write(to: URL(filePath: path))
        let output = try await submit(path)
        try FileManager.default.removeItem(atPath: path)
        let decoder = JSONDecoder()
        let receipts = try output.split(separator: "\n").map {
            try decoder.decode(ReceiptLine.self, from: Data($0.utf8))
        }
        guard receipts.count == changes.count else {
            throw HarnessError.receipts(receipts.count, changes: changes.count)
        }
        return zip(changes, receipts).map(Submission.init)
    }

    /// Submits all of a file until it is accepted: what was known before is a duplicate then.
    private func submit(_ path: String) async throws -> String {
        let limit: Duration = .seconds(60)
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            do {
                // 1: with admission, some of it was refused.
                return try await servers.run(["submit", "-", "--json"], input: .file(path), endingWith: [0, 1])
            } catch HarnessError.ended(_, with: .exited(let code), _) where [69, 75].contains(code) {
                // A server is away: whether all of it is there, and as durable as it should be, isn't known.
                try await Task.sleep(for: .milliseconds(200))
            }
        }
        throw HarnessError.notInTime("a file was not accepted", within: limit)
    }
}
