import Foundation
import Harness
import PostgresClient
import PrivateServers
import RedisClient
import Synchronization

/// Power cuts on one arena, one after another.
final class PowerCutRun: Sendable {
    private struct Halted: Error { let reason: String }

    private static let settleLimit: Duration = .seconds(60)

    private let arena: Arena
    private let orders: OrderSource
    private let book = ReceiptBook()
    private let stream: SubmitStream
    private let state = Mutex(PowerCutFacts())
    /// The file that `init` wrote to, and how much of it: what nobody has a second copy of yet is not cut.
    private let creation = Mutex<(path: String, bytes: Int)?>(nil)

    init(arena: Arena, orders: OrderSource) {
        self.arena = arena
        self.orders = orders
        stream = SubmitStream(0, arena.shop, book, promise: .logged, mayBeRefused: false, takesDurability: true)
    }

    /// What the last cut met.
    var facts: PowerCutFacts { state.withLock { $0 } }

    /// Cuts, restarts three times in all, and compares everything.
    func cut(seed: UInt64) async -> PowerCutOutcome {
        state.withLock { $0 = PowerCutFacts() }
        do {
            return try await run(seed: seed)
        } catch let halted as Halted {
            return .halted(halted.reason)
        } catch {
            return .broken("\(error)")
        }
    }

    private func run(seed: UInt64) async throws -> PowerCutOutcome {
        var generator = SeededGenerator(seed: seed)
        try await settled()
        try noteCreation()
        let delay = Int.random(in: 0...250, using: &generator)
        let isQuiet = Int.random(in: 0..<3, using: &generator) == 0
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.submit() }
            // In the middle of it, or when all has come to rest.
            if isQuiet {
                try await group.waitForAll()
                try await settled()
                group.addTask {}
            } else {
                try await Task.sleep(for: .milliseconds(100 + delay))
            }
            await arena.redis.kill()
            let bytes = try cut(&generator)
            state.withLock { $0.bytes = bytes }
            try await restart()
            // Where a partition is halted its changes get no answer.
            group.addTask { try await self.haltsUntilCancelled() }
            _ = try await group.next()
            group.cancelAll()
            do { try await group.waitForAll() } catch is CancellationError {}
        }
        try await settled()
        for _ in 0..<2 {
            if Bool.random(using: &generator) {
                try await submit()
                try await settled()
            }
            if Bool.random(using: &generator) { await arena.redis.kill() } else { await arena.redis.stop() }
            try await restart()
            try await settled()
        }
        return try await compared()
    }

    private func haltsUntilCancelled() async throws {
        let probe = StoreProbe(arena.shop, partitions: Arena.partitions)
        while true {
            try await Task.sleep(for: .milliseconds(200))
            do {
                if let reason = try await probe.halted() { throw Halted(reason: reason) }
            } catch is RedisError {
                // Not back yet.
            }
        }
    }

    private func submit() async throws {
        guard let changes = orders.next(for: 0) else { return }
        try await stream.submit(changes)
    }

    /// Somewhere in what the server has written since it began the file; near its end mostly, and every other time through
    /// a transaction, also where a slow machine wrote little but single commands.
    private func cut(_ generator: inout SeededGenerator) throws -> Int {
        let kept = try creation.withLock { $0?.path == (try arena.redis.aofPath()) ? $0?.bytes ?? 0 : 0 }
        let written = try size(of: arena.redis.aofPath()) - kept
        guard written > 1 else { return 0 }
        let bound = min(written, [1000, 10_000, 100_000][Int.random(in: 0..<3, using: &generator)])
        var bytes = Int.random(in: 1...bound, using: &generator)
        var (lost, isInTransaction) = try LostTail.cut(arena.redis, bytes: bytes)
        if !isInTransaction, Bool.random(using: &generator),
            let more = try LostTail.bytesBackIntoTransaction(arena.redis), bytes + more < written
        {
            bytes += more
            let further = try LostTail.cut(arena.redis, bytes: more)
            lost += further.lost
            isInTransaction = further.isInTransaction
        }
        book.cut(lost)
        state.withLock { state in
            state.lost = lost.count
            state.isInTransaction = isInTransaction
        }
        return bytes
    }

    private func noteCreation() throws {
        let path = try arena.redis.aofPath()
        let bytes = try size(of: path)
        creation.withLock { $0 = $0 ?? (path, bytes) }
    }

    private func size(of path: String) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    private func restart() async throws {
        let isRefused = try await LostTail.restart(arena.redis)
        state.withLock { state in
            state.restarts += 1
            if isRefused { state.refusals += 1 }
        }
    }

    /// Waits until the log is open, everything applied, and every sink compared with its sum.
    private func settled() async throws {
        let probe = StoreProbe(arena.shop, partitions: Arena.partitions)
        let deadline = ContinuousClock.now + Self.settleLimit
        var reason = ""
        while ContinuousClock.now < deadline {
            do {
                if try await probe.isOpenAndChecked(), try await probe.backlog() == 0 { return }
                reason = "closed, unchecked, or behind"
                if let halted = try await probe.halted() { throw Halted(reason: halted) }
            } catch let error as RedisError {
                reason = "\(error)"
            } catch let error as PostgresError {
                reason = "\(error)"
            }
            try await Task.sleep(for: .milliseconds(30))
        }
        throw HarnessError.notInTime("the log is not at rest: \(reason)", within: Self.settleLimit)
    }

    private func compared() async throws -> PowerCutOutcome {
        var contents = try await arena.shop.contents()
        let missing = book.missing(in: contents)
        let again = book.cutChanges + missing.unanswered
        if !again.isEmpty {
            let submissions = try await Submitters(servers: arena.shop, pace: .zero).submit(again, named: "again")
            book.submitting(again, by: -1)
            book.answered(submissions.map(\.receipt), to: again, isApplied: false)
            try await settled()
            contents = try await arena.shop.contents()
        }
        let check = StoreCheck(contents, receipts: book.compared(with: contents, isComplete: true))
        let differences = check.findings.flatMap { finding in
            finding.differences.map { "\(finding.subject.rawValue): \($0)" }
        }
        return differences.isEmpty ? .agrees : .differs(differences)
    }
}
