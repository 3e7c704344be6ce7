import Foundation
import PrivateServers

/// Every fault point with every action, on real processes and servers; all invariants are checked after each run.
package struct FaultMatrix: Sendable {
    /// What a number of runs came to.
    package struct Report: Sendable {
        package struct Run: Sendable {
            package let cell: FaultCell
            /// Attempts of workers that were refused by token.
            package let refused: Int
            /// What should not have been.
            package let violations: [String]
        }

        package fileprivate(set) var runs: [Run] = []
        package var refused: Int { runs.map(\.refused).reduce(0, +) }
        /// How many runs showed something wrong.
        package var violated: Int { runs.count { !$0.violations.isEmpty } }

        /// A line a cell.
        package func table(of cells: [FaultCell]) -> [String] {
            cells.map { cell in
                let own = runs.filter { $0.cell == cell }
                let refused = own.map(\.refused).reduce(0, +)
                return
                    "\(cell): \(own.count) runs, \(refused) refused, \(own.count { !$0.violations.isEmpty }) violated"
            }
        }
    }

    private let executable: String
    private let seed: UInt64
    private let say: @Sendable (String) -> Void

    /// - Parameters:
    ///   - executable: The path of a debug build of `onewrite`.
    ///   - seed: Where chance comes from.
    ///   - say: Takes a line a run.
    package init(executable: String, seed: UInt64, say: @escaping @Sendable (String) -> Void) {
        self.executable = executable
        self.seed = seed
        self.say = say
    }

    /// Runs each cell a number of times, on several pairs of servers at once.
    ///
    /// - Parameters:
    ///   - cells: What to run.
    ///   - rounds: How often.
    ///   - lanes: How many pairs of servers.
    /// - Returns: The sum over all runs.
    /// - Throws: `ServerError`, when the servers don't start.
    package func run(_ cells: [FaultCell], rounds: Int, lanes: Int) async throws -> Report {
        let runs = (0..<rounds).flatMap { round in cells.map { (cell: $0, round: round) } }
        return try await withThrowingTaskGroup { tasks in
            for lane in 0..<lanes {
                tasks.addTask {
                    var report = Report()
                    let directory = try await PrivateDirectory()
                    do {
                        let redis = try await PrivateRedis.start(in: directory)
                        let postgres = try await PrivatePostgres.start(in: directory)
                        for index in stride(from: lane, to: runs.count, by: lanes) {
                            let shop = try shop(number: index, redis, postgres, directory)
                            try await play(runs[index].cell, round: runs[index].round, index, shop, redis, &report)
                        }
                    } catch {
                        await directory.remove()
                        throw error
                    }
                    await directory.remove()
                    return report
                }
            }
            return try await tasks.reduce(into: Report()) { sum, report in
                sum.runs += report.runs
            }
        }
    }

    private func play(
        _ cell: FaultCell, round: Int, _ index: Int, _ shop: Shop, _ redis: PrivateRedis, _ report: inout Report
    ) async throws {
        try Task.checkCancellation()
        let start = ContinuousClock.now
        let run = FaultRun(cell, in: shop, redis: redis, round: round, seed: seed &+ UInt64(index))
        let outcome = await run.run()
        report.runs.append(Report.Run(cell: cell, refused: outcome.refused, violations: outcome.violations))
        let seconds = (start.duration(to: .now) / .milliseconds(100)).rounded() / 10
        let end = outcome.violations.isEmpty ? "held" : "VIOLATED\n  " + outcome.violations.joined(separator: "\n  ")
        say("\(index) \(cell) · \(outcome.refused) refused · \(seconds) s · \(end)")
    }

    private func shop(
        number: Int, _ redis: PrivateRedis, _ postgres: PrivatePostgres, _ directory: PrivateDirectory
    ) throws -> Shop {
        let folder = "\(directory.path)/run-\(number)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var shop = Shop(
            redisURL: redis.url, postgresURL: postgres.url, namespace: "run\(number)", executable: executable,
            directory: folder)
        shop.lease = "1s"
        return shop
    }
}
