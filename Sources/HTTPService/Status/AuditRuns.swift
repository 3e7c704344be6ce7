import Audit
import Connections
import Foundation
import NIOCore
import OrderLog
import Reports
import ServiceLifecycle
import ThreadedIO

/// Audits that were started over HTTP: one at a time, of which the last few are remembered.
actor AuditRuns: Service {
    /// An audit, as far as it is: `onewrite/audits/v1`.
    struct Run: Encodable, Sendable {
        enum State: String, Encodable {
            case running, done, failed
        }

        /// Milliseconds since 1970 at its start: no other has it, also after a restart of the process.
        let audit: String
        let startedAt: Date
        var state = State.running
        /// What it is at, for people.
        var progress: String?
        /// What it found, as `onewrite audit --json` prints it.
        var report: AuditReport?
        var error: String?

        private enum Key: String, CodingKey {
            case schema, audit, state, progress, report, error
            case startedAt = "started_at"
        }

        func encode(to encoder: any Encoder) throws {
            var json = encoder.container(keyedBy: Key.self)
            try json.encode("onewrite/audits/v1", forKey: .schema)
            try json.encode(audit, forKey: .audit)
            try json.encode(Snapshot.timestamp(startedAt), forKey: .startedAt)
            try json.encode(state, forKey: .state)
            try json.encode(progress, forKey: .progress)
            try json.encode(report, forKey: .report)
            try json.encode(error, forKey: .error)
        }
    }

    /// How many are remembered.
    private static let runsMax = 10
    private static let differencesMax = 10

    private let servers: Servers
    private var runs: [Run] = []
    private var followers: [Int: (audit: String, events: AsyncStream<ByteBuffer>.Continuation)] = [:]
    private var nextFollower = 0

    init(_ servers: Servers) {
        self.servers = servers
    }

    /// Lets followers go when it is shut down, so that nobody waits for them.
    func run() async throws {
        try? await gracefulShutdown()
        letGo()
    }

    /// Ends what followers read; they may come again.
    func letGo() {
        for follower in followers.values { follower.events.finish() }
        followers = [:]
    }

    /// Starts one; the one that runs, if one does.
    func start() -> Run {
        if let running = runs.first(where: { $0.state == .running }) { return running }
        let milliseconds = Int(Date().timeIntervalSince1970 * 1000)
        let last = runs.last.flatMap { Int($0.audit) } ?? 0
        let run = Run(audit: "\(max(milliseconds, last + 1))", startedAt: Date())
        runs.append(run)
        if runs.count > Self.runsMax { runs.removeFirst() }
        Task { await self.work(on: run.audit) }
        return run
    }

    /// Those that are remembered, the newest first.
    var all: [Run] { runs.reversed() }

    /// - Throws: ``Problem`` when there is no such audit.
    func run(_ audit: String) throws(Problem) -> Run {
        guard let run = runs.first(where: { $0.audit == audit }) else {
            throw Problem(.notFound, "there is no audit \(FieldError.quote(audit)), or it is forgotten")
        }
        return run
    }

    private func work(on audit: String) async {
        let (steps, step) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let following = Task { for await text in steps { self.change(audit) { $0.progress = text } } }
        do {
            let report = try await CommandLane("audit").run { [servers] _ in
                let interrupt = Interrupt()
                var patience = Patience(interrupt: interrupt, notice: { step.yield($0) })
                return try await patience.attempt {
                    try await Audit(servers: servers, limit: Self.differencesMax, interrupt: interrupt) {
                        step.yield($0)
                    }.run()
                }
            }
            step.finish()
            await following.value
            change(audit) { ($0.state, $0.report) = (.done, report) }
        } catch {
            step.finish()
            await following.value
            let reason = LogError(anyOf: error)?.message ?? "\(error)"
            change(audit) { ($0.state, $0.error) = (.failed, reason) }
        }
    }

    private func change(_ audit: String, _ body: (inout Run) -> Void) {
        guard let index = runs.firstIndex(where: { $0.audit == audit }) else { return }
        body(&runs[index])
        let event = Self.event(runs[index])
        for (number, follower) in followers where follower.audit == audit {
            follower.events.yield(event)
            guard runs[index].state != .running else { continue }
            follower.events.finish()
            followers[number] = nil
        }
    }

    /// An audit's events from now on, of which the last is its end.
    ///
    /// - Throws: ``Problem`` when there is no such audit, or too many follow.
    func follow(_ audit: String) throws(Problem) -> AsyncStream<ByteBuffer> {
        let run = try run(audit)
        guard followers.count < HTTPLimits.followersMax else { throw .tooManyFollow }
        let (stream, continuation) = AsyncStream<ByteBuffer>.makeStream(bufferingPolicy: .bufferingNewest(2))
        continuation.yield(Self.event(run))
        guard run.state == .running else {
            continuation.finish()
            return stream
        }
        nextFollower += 1
        let number = nextFollower
        followers[number] = (audit, continuation)
        continuation.onTermination = { _ in Task { await self.leave(number) } }
        return stream
    }

    private func leave(_ number: Int) { followers[number] = nil }

    private static func event(_ run: Run) -> ByteBuffer {
        // Its parts can always be encoded.
        let json = (try? JSONText.line(of: run)) ?? "{}"
        return ByteBuffer(string: "event: \(run.state.rawValue)\ndata: \(json)\n\n")
    }
}
