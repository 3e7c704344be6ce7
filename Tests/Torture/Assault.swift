import Foundation
import Harness
import PostgresClient
import PrivateServers
import RedisClient
import Synchronization
import ThreadedIO

/// Carries out the faults of a schedule on a running system.
struct Assault: Sendable {
    let arena: Arena
    let crew: WorkerCrew
    let streams: [SubmitStream]
    let book: ReceiptBook
    let watch: StoreWatch
    let log: EventLog
    /// Whether the executable has fault points, as test builds do.
    let hasFaultPoints: Bool

    /// Carries out everything, the lanes at the same time; then, while nothing else fails, one zombie of each group.
    ///
    /// A zombie whose connections break meanwhile has nobody left who could refuse it.
    func run(_ schedule: FaultSchedule) async throws {
        let start = ContinuousClock.now
        try await withThrowingTaskGroup { lanes in
            for lane in Fault.Lane.allCases {
                lanes.addTask {
                    // A slow machine leaves out what it has no time for, but no kind of fault altogether.
                    var tried: Set<Fault> = []
                    for item in schedule.faults(of: lane) {
                        let isInTime = ContinuousClock.now < start + schedule.length
                        guard tried.insert(item.fault).inserted || isInTime else { continue }
                        try await Task.sleep(until: start + item.at, clock: .continuous)
                        var generator = SeededGenerator(seed: item.seed)
                        let happened = try await carryOut(item.fault, &generator)
                        log.note(item.fault, happened)
                    }
                }
            }
            try await lanes.waitForAll()
        }
        arena.heal()
        guard hasFaultPoints else { return }
        try await withThrowingTaskGroup { zombies in
            for (group, seed) in zip(StoreContents.groups, schedule.calmSeeds) {
                zombies.addTask {
                    var generator = SeededGenerator(seed: seed)
                    let name = crew.names.filter { $0.group == group }.randomElement(using: &generator)
                    let point = group == "postgres" ? "beforeBegin" : "beforeScript"
                    guard let name else { return }
                    let happened = try await zombie(name, at: point, &generator)
                    log.note(.zombie, happened)
                }
            }
            try await zombies.waitForAll()
        }
    }

    /// - Returns: What was done, for the log; nil when there was nothing to do it to.
    private func carryOut(_ fault: Fault, _ generator: inout SeededGenerator) async throws -> String? {
        switch fault.lane {
        case .workers:
            let name = crew.names[Int.random(in: 0..<crew.names.count, using: &generator)]
            return await crew.kill(name) ? "\(name)" : nil
        case .zombies:
            // A worker may hold nothing at that moment, or not come to the place.
            for _ in 0..<2 { if let done = try await zombie(&generator) { return done } }
            return nil
        case .submitters:
            let stream = streams[Int.random(in: 0..<streams.count, using: &generator)]
            return await stream.kill() ? "submitter \(stream.number)" : nil
        case .redis:
            guard let cluster = arena.cluster else { return try await redis(arena.redis, fault, &generator) }
            return try await attack(cluster, fault, &generator)
        case .postgres: return try await postgres(fault, &generator)
        case .links: return try await links(fault, &generator)
        }
    }

    func pause(_ milliseconds: ClosedRange<Int>, _ generator: inout SeededGenerator) async throws -> Int {
        let length = Int.random(in: milliseconds, using: &generator)
        try await Task.sleep(for: .milliseconds(length))
        return length
    }

    // MARK: - Zombies

    private func zombie(_ generator: inout SeededGenerator) async throws -> String? {
        let name = crew.names[Int.random(in: 0..<crew.names.count, using: &generator)]
        let points =
            name.group == "postgres"
            ? ["beforeBegin", "beforeBegin", "commitSent", "afterCommit", "beforeAck", "afterRead"]
            : ["beforeScript", "beforeScript", "scriptSent", "afterScript", "afterRead"]
        let point = points[Int.random(in: 0..<points.count, using: &generator)]
        let isAnywhere = !hasFaultPoints || Int.random(in: 0..<4, using: &generator) == 0
        return try await zombie(name, at: isAnywhere ? nil : point, &generator)
    }

    /// Stops a worker, waits until others have all its partitions, and lets it run on.
    ///
    /// - Parameters:
    ///   - name: Which.
    ///   - point: The fault point at which it stops; nil for wherever it is.
    ///   - generator: Where chance comes from.
    /// - Returns: What was done; nil when it held nothing, or nobody took over.
    /// - Throws: What the servers throw; `CancellationError`.
    private func zombie(
        _ name: WorkerCrew.Name, at point: String?, _ generator: inout SeededGenerator
    ) async throws -> String? {
        var process = crew.process(name)
        if let point {
            let nth = Int.random(in: 2...6, using: &generator)
            let stopping = try await crew.replace(name, environment: ["ONEWRITE_FAULT": "\(point):stop:\(nth)"])
            process = stopping
            guard try await holds(within: .seconds(8), { !stopping.isRunning || ProcessTable.isStopped(stopping.pid) })
            else {
                // Who has yet to come there would stop when nobody waits to let it run on.
                _ = await crew.kill(name)
                return nil
            }
        } else {
            process?.send(SIGSTOP)
        }
        guard let process, process.isRunning else { return nil }
        defer { process.send(SIGCONT) }
        let probe = StoreProbe(arena.shop, partitions: Arena.partitions)
        func held() async throws -> [Int] {
            do {
                // By its lease, or by its token: who took the lease has yet to fence the sink.
                let holders = try await probe.holders(of: name.group)
                let owners = try await probe.owners(of: name.group)
                return holders.indices.filter { holders[$0] == "\(name)" || owners[$0] == "\(name)" }
            } catch is RedisError {
                return [-1]
            } catch is PostgresError {
                return [-1]
            }
        }
        let mine = try await held()
        // A lease of 3 s, and time for a server that is away.
        let isReplaced = try await holds(within: .seconds(10)) { try await held().isEmpty }
        guard isReplaced, !mine.isEmpty else { return nil }
        // Others apply meanwhile.
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...500, using: &generator)))
        return "\(name) \(point.map { "at \($0)" } ?? "anywhere"), \(mine.count) partitions"
    }

    func holds(within limit: Duration, _ condition: () async throws -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + limit
        while try await !condition() {
            if ContinuousClock.now > deadline { return false }
            try await Task.sleep(for: .milliseconds(20))
        }
        return true
    }

    // MARK: - Redis

    private func redis(
        _ server: PrivateRedis, _ fault: Fault, _ generator: inout SeededGenerator
    ) async throws -> String? {
        switch fault {
        case .redisKill:
            await server.kill()
            let length = try await pause(0...600, &generator)
            _ = try await LostTail.restart(server)
            return "away for \(length) ms"
        case .tailLost:
            // A server just started, or a slow machine, has few in its newest file.
            for _ in 0..<5 {
                if let lost = try await loseTail(of: server, &generator) { return "\(lost) entries" }
                try await Task.sleep(for: .seconds(1))
            }
            return nil
        default: return try await disturb(server, fault, &generator)
        }
    }

    /// Does something to a server that loses nothing and moves nothing.
    func disturb(_ server: PrivateRedis, _ fault: Fault, _ generator: inout SeededGenerator) async throws -> String? {
        switch fault {
        case .redisStop:
            server.pause()
            defer { server.resume() }
            return "\(try await pause(300...2000, &generator)) ms"
        case .clientPause:
            let length = Int.random(in: 300...2000, using: &generator)
            return await ask(server, "CLIENT", "PAUSE", "\(length)", "ALL").map { _ in "\(length) ms" }
        case .clientKill: return await ask(server, "CLIENT", "KILL", "SKIPME", "yes", "TYPE", "normal").map { _ in "" }
        case .scriptFlush: return await ask(server, "SCRIPT", "FLUSH").map { _ in "" }
        case .groupDestroy:
            let group = StoreContents.groups[Int.random(in: 0..<3, using: &generator)]
            let partition = Int.random(in: 0..<Arena.partitions, using: &generator)
            let log = "{\(arena.shop.namespace):\(partition)}:log"
            let owner: PrivateRedis
            do {
                owner = try await arena.cluster?.owner(ofKey: log) ?? server
            } catch is ServerError {
                return nil
            }
            return await ask(owner, "XGROUP", "DESTROY", log, group).map { _ in "\(group) of partition \(partition)" }
        default: return nil
        }
    }

    /// Kills a server, cuts its file between two transactions, or through whatever stands there, and starts it again.
    ///
    /// - Returns: How many entries were lost; nil when the file has fewer.
    func loseTail(of server: PrivateRedis, _ generator: inout SeededGenerator) async throws -> Int? {
        let entries = Int.random(in: 1...100, using: &generator)
        let bytes = Bool.random(using: &generator) ? Int.random(in: 1...20_000, using: &generator) : nil
        await server.kill()
        await watch.tailWasLost()
        let lost: [(shop: String, id: String)]
        do {
            lost =
                if let bytes { try LostTail.cut(server, bytes: bytes).lost } else {
                    try LostTail.cut(server, losing: entries)
                }
        } catch let error as ServerError {
            _ = try await LostTail.restart(server)
            log.add("\(error)")
            return nil
        }
        book.cut(lost)
        _ = try await pause(0...300, &generator)
        _ = try await LostTail.restart(server)
        return lost.count
    }

    /// Asks a server one thing; nil when it doesn't answer, or refuses.
    private func ask(_ server: PrivateRedis, _ words: String...) async -> String? {
        do { return try await server.ask(words) } catch { return nil }
    }

    // MARK: - Postgres

    private func postgres(_ fault: Fault, _ generator: inout SeededGenerator) async throws -> String? {
        switch fault {
        case .postgresStop:
            await arena.postgres.stop(.immediate)
            let length = try await pause(0...1000, &generator)
            try await arena.postgres.restart()
            return "away for \(length) ms"
        case .postgresPause:
            arena.postgres.pause()
            defer { arena.postgres.resume() }
            return "\(try await pause(300...2000, &generator)) ms"
        case .backendsTerminated:
            return try await sql(
                """
                SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                """)
        case .rowLocked:
            let partition = Int.random(in: 0..<Arena.partitions, using: &generator)
            let length = Double(Int.random(in: 300...2000, using: &generator)) / 1000
            return try await sql(
                """
                SELECT pg_sleep(\(length)) FROM (
                    SELECT FROM onewrite.partitions WHERE partition = \(partition) FOR UPDATE) AS locked
                """)
        default: return nil
        }
    }

    private func sql(_ statement: String) async throws -> String? {
        try await BlockingLane(name: "sql").run {
            do {
                let rows = try arena.shop.postgres().query(statement, until: .after(.seconds(10)))
                return rows.first?.string(0) ?? ""
            } catch is PostgresError {
                return nil
            }
        }
    }

    // MARK: - Links

    private func links(_ fault: Fault, _ generator: inout SeededGenerator) async throws -> String? {
        let chosen = arena.links[Int.random(in: 0..<arena.links.count, using: &generator)]
        let (name, link) = (chosen.name, chosen.proxy)
        defer { link.heal() }
        switch fault {
        case .linksCut:
            return "\(name), \(link.cut(Bool.random(using: &generator) ? .reset : .close)) connections"
        case .linksRefused:
            link.setRefusing(true)
            link.cut()
            return "\(name), \(try await pause(200...1500, &generator)) ms"
        case .linksDelayed:
            link.setDelay(.milliseconds(Int.random(in: 5...50, using: &generator)))
            return "\(name), \(try await pause(500...2500, &generator)) ms"
        case .linksHeld:
            let both: Set<FaultProxy.Direction> = [.toServer, .toClient]
            let held = [both, [.toServer], [.toClient]][Int.random(in: 0..<3, using: &generator)]
            link.hold(held)
            return "\(name), \(held.count == 2 ? "dead" : "half open"), \(try await pause(300...3000, &generator)) ms"
        case .linksSplit:
            link.setPieces(ofBytes: Int.random(in: 1...7, using: &generator))
            return "\(name), \(try await pause(300...1500, &generator)) ms"
        case .answerDropped:
            // libpq names the statement; the scripts' digests say nothing, so any call of one will do.
            link.dropAnswer(toRequestHolding: chosen.isToPostgres ? "apply" : "EVALSHA")
            let dropped = link.counts.answersDropped
            return try await holds(within: .seconds(2)) { link.counts.answersDropped > dropped } ? name : nil
        case .frameCut:
            let direction = FaultProxy.Direction.allCases[Int.random(in: 0...1, using: &generator)]
            let cut = link.counts.cut
            link.cut(afterBytes: Int.random(in: 1...3000, using: &generator), direction)
            return try await holds(within: .seconds(2)) { link.counts.cut > cut } ? "\(name), \(direction)" : nil
        default: return nil
        }
    }
}

/// What happened and when, in a file, and how often.
final class EventLog: Sendable {
    private struct State {
        var counts: [Fault: Int] = [:]
        var missed: [Fault: Int] = [:]
    }

    private let start = ContinuousClock.now
    private let path: String
    private let isVerbose: Bool
    private let state = Mutex(State())

    init(path: String, isVerbose: Bool) {
        self.path = path
        self.isVerbose = isVerbose
    }

    var counts: [Fault: Int] { state.withLock { $0.counts } }

    /// Notes a fault; nil for one that found nothing to be done to.
    func note(_ fault: Fault, _ what: String?) {
        state.withLock { state in
            if what != nil { state.counts[fault, default: 0] += 1 } else { state.missed[fault, default: 0] += 1 }
        }
        add("\(fault.rawValue): \(what ?? "nothing there to do it to")")
    }

    func add(_ line: String) {
        let milliseconds = Int(start.duration(to: .now) / .milliseconds(1))
        let line = "\(milliseconds) ms  \(line)"
        if isVerbose { say("    \(line)") }
        state.withLock { _ in
            guard let file = fopen(path, "a") else { return }
            fputs(line + "\n", file)
            fclose(file)
        }
    }
}
