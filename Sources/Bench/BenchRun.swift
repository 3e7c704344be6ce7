import Foundation
import Harness
import OrderLog
import PrivateServers

/// A benchmark's course, from the private servers to the report.
package struct BenchRun: Sendable {
    private let plan: BenchPlan
    private let notice: @Sendable (String) -> Void

    /// - Parameters:
    ///   - plan: What is measured.
    ///   - notice: Takes a line on each thing done, for people.
    package init(_ plan: BenchPlan, notice: @escaping @Sendable (String) -> Void) {
        self.plan = plan
        self.notice = notice
    }

    /// How long one command may take.
    private static let limit: Duration = .seconds(3600)

    /// Starts the servers, measures, and removes everything.
    ///
    /// - Throws: `ServerError` for servers that are missing or don't start; `HarnessError` for what ended early or came to
    ///   nothing in time; `LogError` for a store that doesn't hold what it should.
    package func run() async throws -> BenchReport {
        // Before anything is made: what is missing is said at once.
        _ = try (Program.redisServer(), Program.postgres("initdb"))
        let directory = try await PrivateDirectory()
        do {
            let report = try await run(in: directory)
            await directory.remove()
            return report
        } catch {
            await directory.remove()
            throw error
        }
    }

    private func run(in directory: PrivateDirectory) async throws -> BenchReport {
        say("starting a private Redis and Postgres in \(directory.path)")
        let servers = try await BenchServers.start(in: directory, for: plan)
        do {
            let report = try await run(on: servers)
            await servers.stop()
            return report
        } catch {
            await servers.stop()
            throw error
        }
    }

    private func run(on servers: BenchServers) async throws -> BenchReport {
        try plan.work.write(plan.orders, to: Self.file(servers))
        try plan.work.write(0, to: Self.emptyFile(servers))
        var results = BenchResults(versions: try await servers.gauge.versions())
        let logs = plan.partitions.map(servers.with)
        for round in 1...plan.rounds {
            // In turn, and each first every other time: what drifts on the machine hits all.
            for log in round.isMultiple(of: 2) ? logs.reversed() : logs {
                try await self.round(round, on: log, &results)
            }
        }
        return BenchReport(plan, results)
    }

    private static func file(_ servers: BenchServers) -> String { "\(servers.shop.directory)/orders.ndjson" }
    private static func emptyFile(_ servers: BenchServers) -> String { "\(servers.shop.directory)/empty.ndjson" }

    private func round(_ round: Int, on servers: BenchServers, _ results: inout BenchResults) async throws {
        let bare = plan.bare.map { BareLoop(executable: $0, servers: servers, orders: plan.orders) }
        let drain = Drain(servers: servers, plan: plan)
        func note(_ done: StageRound, _ stage: BenchPlan.Stage) {
            results.stages[BenchPlan.Place(stage: stage, partitions: servers.partitions), default: []].append(done)
        }
        let alone: [BenchPlan.Stage] = [.stock, .delivery, .postgres]
        if !plan.stages.isDisjoint(with: alone + [.append, .produce]) {
            try await servers.renew()
            try await turnAdmissionOn(servers)
            let filled = try await fill(round, servers, bare)
            if plan.stages.contains(.append) { note(filled, .append) }
            let submitted = filled.ours.ordersPerSecond
            if servers.partitions == plan.partitions.first { results.memory = try await servers.gauge.memory() }
            for stage in alone where plan.stages.contains(stage) {
                note(try await self.drain(stage, round, servers, drain, bare), stage)
            }
            if plan.stages.contains(.produce) { try await produce(round, servers, submitted, &results) }
        }
        if plan.stages.contains(.all) {
            try await servers.renew()
            _ = try await fill(round, servers, bare, isSaid: false)
            note(try await self.drain(.all, round, servers, drain, bare), .all)
        }
        if plan.stages.contains(.latency) {
            for rate in plan.rates {
                try await servers.renew()
                try await servers.gauge.checkpoint()
                let run = LatencyRun(rate: rate, servers: servers, plan: plan)
                let latencies = try await run.measured()
                let place = BenchResults.LatencyPlace(rate: rate, partitions: servers.partitions)
                results.latencies[place, default: []].append(latencies)
                say(round, .latency, servers, "\(rate)/s " + latencies.line)
            }
        }
    }

    /// Submits the same orders by the library; `submitted` is what `onewrite submit` has reached, in orders a second.
    private func produce(
        _ round: Int, _ servers: BenchServers, _ submitted: Double, _ results: inout BenchResults
    ) async throws {
        for use in ProduceRun.Use.allCases {
            try await servers.renew()
            try await turnAdmissionOn(servers)
            try await servers.gauge.checkpoint()
            var done = try await ProduceRun(servers: servers, plan: plan).measured(use)
            done.ratio = done.ordersPerSecond.map { $0 / submitted }
            let place = BenchResults.ProducePlace(use: use, partitions: servers.partitions)
            results.produced[place, default: []].append(done)
            let rate = done.ordersPerSecond.map { "\(FieldError.spaced(Int($0))) orders/s " } ?? ""
            let times = done.latencies.map { "p50 \($0.p50) ms, p99 \($0.p99) ms" } ?? ""
            say(round, .produce, servers, "\(use.rawValue) \(rate)\(times)")
        }
    }

    /// Where it is wanted: each shop has what all orders take, so that none is refused.
    private func turnAdmissionOn(_ servers: BenchServers) async throws {
        guard plan.hasAdmission else { return }
        let path = "\(servers.shop.directory)/stock.ndjson"
        try Data(plan.work.stock(for: plan.orders).utf8).write(to: URL(filePath: path))
        try await servers.shop.run(["submit", path])
        for shop in Set((0..<min(plan.shops, plan.orders)).map(plan.work.shop)).sorted() {
            try await servers.shop.run(["admission", "on", shop])
        }
    }

    /// Fills both logs.
    private func fill(
        _ round: Int, _ servers: BenchServers, _ bare: BareLoop?, isSaid: Bool = true
    ) async throws -> StageRound {
        // Both sides in turn, and each first every other time: what drifts on the machine hits both.
        let filled = try await measure(.append, round, servers, ours: { try await submit(servers) }) {
            try await bare?.append()
        }
        if isSaid { say(round, .append, servers, filled) }
        return filled
    }

    /// Submits the file, and an empty one, whose time is start-up.
    private func submit(_ servers: BenchServers) async throws -> Drain.Pace {
        func time(_ path: String) async throws -> Duration {
            let start = ContinuousClock.now
            let log = servers.shop.logPath("submit")
            let child = try await servers.shop.spawn(["submit", path], errors: .appended(to: log))
            let status = try await child.exit(within: Self.limit)
            guard status == .exited(0) else { throw HarnessError.ended("onewrite submit", with: status, saying: "") }
            return start.duration(to: .now)
        }
        let startUp = try await time(Self.emptyFile(servers))
        let whole = try await time(Self.file(servers))
        return Drain.Pace(ordersPerSecond: Double(plan.orders) / (whole / .seconds(1)), startUp: startUp)
    }

    private func drain(
        _ stage: BenchPlan.Stage, _ round: Int, _ servers: BenchServers, _ drain: Drain, _ bare: BareLoop?
    ) async throws -> StageRound {
        let drained = try await measure(stage, round, servers, ours: { try await drain.run(stage.groups) }) {
            try await bare?.drain(stage.groups.map(\.name))
        }
        say(round, stage, servers, drained)
        return drained
    }

    private func measure(
        _ stage: BenchPlan.Stage, _ round: Int, _ servers: BenchServers, ours: () async throws -> Drain.Pace,
        bare: () async throws -> Double?
    ) async throws -> StageRound {
        var yardstick: Measurement?
        func measureBare() async throws {
            guard plan.bare != nil else { return }
            try await servers.gauge.checkpoint()
            yardstick = try await .of(orders: plan.orders, on: servers) {
                Drain.Pace(ordersPerSecond: try await bare() ?? 0, startUp: nil)
            }
        }
        if !round.isMultiple(of: 2) { try await measureBare() }
        try await servers.gauge.checkpoint()
        let measured = try await Measurement.of(orders: plan.orders, on: servers, ours)
        if round.isMultiple(of: 2) { try await measureBare() }
        return StageRound(ours: measured, bare: yardstick)
    }

    // MARK: - Progress

    private func say(_ line: String) { notice("bench: \(line)") }

    private func say(_ round: Int, _ stage: BenchPlan.Stage, _ servers: BenchServers, _ line: String) {
        let log = plan.partitions.count == 1 ? "" : " of \(servers.partitions) partitions"
        say("round \(round) of \(plan.rounds) · \(stage.rawValue)\(log) · \(line)")
    }

    private func say(_ round: Int, _ stage: BenchPlan.Stage, _ servers: BenchServers, _ done: StageRound) {
        var line = "\(FieldError.spaced(Int(done.ours.ordersPerSecond))) orders/s"
        if let bare = done.bare { line += ", the bare loop \(FieldError.spaced(Int(bare.ordersPerSecond)))" }
        say(round, stage, servers, line)
    }
}
