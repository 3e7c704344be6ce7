import Foundation
package import PrivateServers
import Synchronization

/// Workers of a whole shop: two processes for each group, each with its log in a file.
package final class WorkerFleet: Sendable {
    /// `postgres-a`: a worker by its group and a letter.
    package struct Name: Hashable, Sendable, CustomStringConvertible {
        package let group: String
        package let letter: String

        package init(group: String, letter: String) {
            self.group = group
            self.letter = letter
        }

        package var description: String { "\(group)-\(letter)" }
        /// The other worker of the group.
        package var sibling: Name { Name(group: group, letter: letter == "a" ? "b" : "a") }
    }

    /// How a killed worker's partitions came to the other.
    package struct Takeover: Sendable {
        package let duration: Duration
        /// The lines in which the other worker said so.
        package let lines: [String]

        /// The sum over the lines of the number in front of a word: `reclaimed 31 pending, 1 applied, 30 duplicates`.
        package func sum(_ word: String) -> Int {
            lines.map { line in
                let words = line.split { $0 == " " || $0 == "," }
                return words.firstIndex(of: word[...]).flatMap { $0 > 0 ? Int(words[$0 - 1]) : nil } ?? 0
            }.reduce(0, +)
        }
    }

    /// Two a group.
    package static let names = StoreContents.groups.flatMap {
        [Name(group: $0, letter: "a"), Name(group: $0, letter: "b")]
    }

    private let servers: Shop
    private let probe: StoreProbe
    private let processes = Mutex<[Name: ChildProcess]>([:])

    /// Makes the fleet; nothing is started.
    ///
    /// - Parameters:
    ///   - servers: What the workers work with.
    ///   - probe: Tells who holds which partition.
    package init(_ servers: Shop, _ probe: StoreProbe) {
        self.servers = servers
        self.probe = probe
    }

    /// A worker's latest process; nil before its first start.
    package func process(_ name: Name) -> ChildProcess? { processes.withLock { $0[name] } }

    /// Starts a worker.
    ///
    /// - Throws: `ChildProcessError`.
    package func start(_ name: Name) async throws {
        let child = try await servers.startWorker(group: name.group, name: "\(name)")
        processes.withLock { $0[name] = child }
    }

    /// Starts all, and returns when each serves a part of the partitions.
    ///
    /// - Throws: `ChildProcessError`; ``HarnessError/notInTime(_:within:)``.
    package func startAll() async throws {
        for name in Self.names { try await start(name) }
        try await waiting(upTo: .seconds(60), "the workers did not share the partitions") { [self] in
            for group in StoreContents.groups {
                let holders = try await probe.holders(of: group)
                if holders.contains(nil) || Set(holders).count < 2 { return false }
            }
            return true
        }
    }

    /// Ends all in an orderly way.
    package func stopAll() async {
        let all = processes.withLock { Array($0.values) }
        await withTaskGroup { tasks in
            for process in all { tasks.addTask { _ = await process.stop() } }
        }
    }

    /// The last lines of each worker's log, for when something went wrong.
    package var logTails: [String] {
        Self.names.flatMap { name in lines(ofLog: name).suffix(3).map(String.init) }
    }

    /// Waits until the other worker has the partitions of one that was killed.
    ///
    /// - Throws: ``HarnessError/notInTime(_:within:)``.
    package func takeover(from name: Name) async throws -> Takeover {
        let start = ContinuousClock.now
        let before = linesOfTakeover(from: name).count
        let held = try await probe.holders(of: name.group).count { $0 == "\(name)" }
        try await waiting(upTo: .seconds(60), "nobody took over from \(name)") { [self] in
            try await !probe.holders(of: name.group).contains("\(name)")
        }
        // A lease has moved before the entries behind it are reclaimed, which is when the line is written.
        let deadline = ContinuousClock.now + .seconds(10)
        var lines = linesOfTakeover(from: name).dropFirst(before)
        while lines.count < held && ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(10))
            lines = linesOfTakeover(from: name).dropFirst(before)
        }
        return Takeover(duration: start.duration(to: .now), lines: Array(lines))
    }

    private func linesOfTakeover(from name: Name) -> [String] {
        lines(ofLog: name.sibling).filter { $0.contains("took over from \(name) (gone)") }.map(String.init)
    }

    private func lines(ofLog name: Name) -> [Substring] {
        let log = FileManager.default.contents(atPath: servers.logPath("\(name)")) ?? Data()
        return String(decoding: log, as: UTF8.self).split(separator: "\n")
    }
}
