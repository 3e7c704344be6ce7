import Foundation
import Harness
import OrderLog
import PrivateServers
import RedisClient
import ThreadedIO

/// A hundred clients want one of the last ten pieces each, at the same moment.
enum LastPieces {
    static let pieces = 10
    static let clients = 100
    static let shop = "last-pieces"
    private static let sku = "LAMP"

    /// What came of it with admission on.
    struct Outcome {
        /// What came into the log, with the receipts.
        var submissions: [Submission] = []
        var refused = 0

        var sold: Int { submissions.count { $0.change.kind == .placed } }
        /// Whether each piece was sold once, and everybody else was told so.
        var isRight: Bool { sold == pieces && refused == clients - pieces }
    }

    /// Through Onewrite: `onewrite submit`, a process each.
    static func run(on servers: Shop, _ submitters: Submitters) async throws -> Outcome {
        let received = PlannedChange(
            kind: .received, id: "last", shop: shop,
            lines: [PlannedChange.Line(sku: sku, quantity: Int64(pieces))])
        var outcome = Outcome(submissions: try await submitters.submit([received], named: "last-pieces"))
        try await servers.run(["admission", "on", shop])
        let receipts = try await withThrowingTaskGroup(of: (PlannedChange, ReceiptLine).self) { tasks in
            for client in 0..<clients {
                tasks.addTask {
                    let order = PlannedChange(
                        kind: .placed, id: "last-\(client)", shop: shop, customer: "c-\(client)",
                        lines: [PlannedChange.Line(sku: sku, quantity: 1)])
                    return (order, try await submit(order, on: servers))
                }
            }
            return try await tasks.reduce(into: []) { $0.append($1) }
        }
        for (order, receipt) in receipts {
            if receipt.outcome == "refused" {
                outcome.refused += 1
            } else {
                outcome.submissions.append(Submission(change: order, receipt: receipt))
            }
        }
        return outcome
    }

    private static func submit(_ order: PlannedChange, on servers: Shop) async throws -> ReceiptLine {
        let arguments = [
            "submit", "--shop", order.shop, "--id", order.id, "--customer", order.customer ?? "", "--line", "\(sku):1",
            "--json",
        ]
        let output = try await servers.run(arguments, endingWith: [0, 1])
        return try JSONDecoder().decode(ReceiptLine.self, from: Data(output.utf8))
    }

    /// As such code usually is: look whether there is one left, then take it.
    ///
    /// - Returns: How many were sold.
    static func runNaively(on servers: Shop, seed: UInt64) async throws -> Int {
        let key = "naive:last-pieces"
        try await BlockingLane(name: "naive").run {
            _ = try servers.redis().call(RedisCommand("SET", key, pieces), until: .after(.seconds(10)))
        }
        return try await withThrowingTaskGroup(of: Bool.self) { tasks in
            for client in 0..<clients {
                tasks.addTask {
                    try await BlockingLane(name: "naive").run {
                        let redis = try servers.redis()
                        var generator = SeededGenerator(seed: seed &+ UInt64(client))
                        let limit = Deadline.after(.seconds(10))
                        let left = try redis.call(RedisCommand("GET", key), until: limit).string.flatMap { Int($0) }
                        guard let left, left > 0 else { return false }
                        // What the application does between its look and its write.
                        Interrupt().wait(until: .after(.microseconds(Int.random(in: 0...2000, using: &generator))))
                        _ = try redis.call(RedisCommand("DECR", key), until: limit).requireInteger()
                        return true
                    }
                }
            }
            return try await tasks.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
    }
}
