package import Connections
package import Coordination
package import OrderLog
package import ThreadedIO

/// Trims the log by itself, a little at a time, as long as a worker of group `postgres` serves.
///
/// Whatever it meets, it tries again later: nothing waits for it.
package struct TrimKeeper: Sendable {
    /// How often a partition is looked at, at most, unless what is older than that shall go.
    private static let interval: Duration = .seconds(5)
    /// So that a worker of very many partitions stays cheap: a look takes some 0.2 ms.
    private static let intervalPerPartition: Duration = .milliseconds(20)
    /// Less than this waits until it is more, or has waited long.
    private static let worthwhile = 1000
    private static let longest: Duration = .seconds(60)

    private let servers: Servers
    private let age: Duration
    private let outages: Outages
    private let interrupt: Interrupt
    private let served: @Sendable () -> [Partition]

    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - age: How long what all have applied stays.
    ///   - outages: For people: what goes wrong.
    ///   - interrupt: Ends it.
    ///   - served: The partitions that the worker serves at this moment.
    package init(
        _ servers: Servers, keeping age: Duration, outages: Outages, interrupt: Interrupt,
        served: @escaping @Sendable () -> [Partition]
    ) {
        self.servers = servers
        self.age = age
        self.outages = outages
        self.interrupt = interrupt
        self.served = served
    }

    /// Trims until the interrupt is signalled, on a thread of its own.
    package func run() async {
        do {
            try await CommandLane("trim").run { _ in await keep() }
        } catch {
            outages.note(error, doing: "trimming", by: .trimmer, at: .now)
        }
    }

    private func keep() async {
        var backoff = Backoff(first: .seconds(1), most: .seconds(60))
        var generator = SystemRandomNumberGenerator()
        var lastTrimmed: [Partition: ContinuousClock.Instant] = [:]
        var run: TrimRun?
        while !interrupt.isSignalled {
            var pause = max(min(Self.interval, age), Self.intervalPerPartition * served().count)
            do {
                let opened = try run ?? TrimRun(servers, interrupt: interrupt)
                run = opened
                try await pass(opened, &lastTrimmed)
                backoff.reset()
                outages.over(for: .trimmer, at: .now)
            } catch {
                run = nil
                if interrupt.isSignalled { return }
                outages.note(error, doing: "trimming", by: .trimmer, at: .now)
                pause = backoff.next(using: &generator)
            }
            interrupt.wait(until: .after(pause))
        }
    }

    private func pass(_ run: TrimRun, _ lastTrimmed: inout [Partition: ContinuousClock.Instant]) async throws {
        for partition in served() {
            for row in try await run.plan(keeping: Retention(age: age), in: [partition], { _, _ in }) {
                guard let plan = row.plan, plan.count > 0 else { continue }
                let isOld = (lastTrimmed[partition] ?? .now).duration(to: .now) > min(Self.longest, age)
                if lastTrimmed[partition] == nil { lastTrimmed[partition] = .now }
                guard plan.count >= Self.worthwhile || isOld else { continue }
                lastTrimmed[partition] = .now
                _ = try await run.run(row)
            }
        }
    }
}
