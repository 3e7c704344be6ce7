import Connections
import Foundation
import HTTPTypes
import Hummingbird
import Inspection
import NIOCore
import OrderLog
import Reports
import ServiceLifecycle

/// Looks at the stores once for everybody: pages, programs, metrics.
///
/// Once a second while somebody follows, else every five for the history.
actor StatusFeed: Service {
    /// A look, and its JSON, made once.
    struct Frame: Sendable {
        let snapshot: Snapshot
        let json: String
        /// How long it took.
        let duration: Duration
        /// How long one command of it took each server.
        let roundTrips: (redis: Duration?, postgres: Duration?)
    }

    /// Why there is no snapshot.
    struct Trouble: Error, Sendable {
        let error: String
        let json: String
        let unavailable: Snapshot.Unavailable
    }

    private static let tick: Duration = .seconds(1)
    private static let restingTicks = Int(HistoryRing.step / .seconds(1))
    /// A look is good for so long for those that ask once.
    private static let fresh: Duration = .milliseconds(900)

    private let watch: StatusWatch
    private let environment: Snapshot.Environment
    private var latest: (at: ContinuousClock.Instant, result: Result<Frame, Trouble>)?
    private var looking: Task<Result<Frame, Trouble>, Never>?
    private var followers: [Int: AsyncStream<ByteBuffer>.Continuation] = [:]
    private var nextFollower = 0
    private var ring = HistoryRing()
    private var isStopped = false

    init(_ servers: Servers, _ environment: Snapshot.Environment) {
        watch = StatusWatch(servers, environment: environment)
        self.environment = environment
    }

    /// Looks until it is shut down.
    func run() async throws {
        // A sleep that is cancelled is how it ends.
        try? await cancelWhenGracefulShutdown { try await self.lookOn() }
        stop()
    }

    private func lookOn() async throws {
        for tick in 0... {
            if !followers.isEmpty || tick % Self.restingTicks == 0 {
                let result = await look()
                publish(result)
                if tick % Self.restingTicks == 0, case .success(let frame) = result { ring.add(frame.snapshot) }
            }
            try await Task.sleep(for: Self.tick)
        }
    }

    private func stop() {
        isStopped = true
        letGo()
    }

    /// Ends what followers read; they may come again.
    func letGo() {
        for follower in followers.values { follower.finish() }
        followers = [:]
    }

    /// A look that is not older than a moment.
    func current() async -> Result<Frame, Trouble> {
        if let latest, ContinuousClock.now - latest.at < Self.fresh { return latest.result }
        return await look()
    }

    /// The first of some groups that there is not, and those that there are; nil when all are there, or nobody knows.
    func missing(of groups: [Group]) async -> (group: Group, known: [String])? {
        func find(_ result: Result<Frame, Trouble>?) -> (group: Group, known: [String])? {
            guard case .success(let frame) = result else { return nil }
            let known = frame.snapshot.groups.map(\.name)
            return groups.first { !known.contains($0.name) }.map { ($0, known) }
        }
        guard !groups.isEmpty else { return nil }
        // The last look does, but for a group that was added since.
        if let latest, find(latest.result) == nil { return nil }
        return find(await current())
    }

    /// Looks; those that ask meanwhile get the same.
    private func look() async -> Result<Frame, Trouble> {
        if let looking { return await looking.value }
        let task = Task { [watch, environment] in await Self.look(watch, environment) }
        looking = task
        let result = await task.value
        looking = nil
        latest = (.now, result)
        return result
    }

    private static func look(
        _ watch: StatusWatch, _ environment: Snapshot.Environment
    ) async -> Result<Frame, Trouble> {
        let begun = ContinuousClock.now
        do {
            let snapshot = try await watch.snapshot()
            return .success(
                Frame(
                    snapshot: snapshot, json: try JSONText.line(of: snapshot, isSorted: false), duration: .now - begun,
                    roundTrips: await watch.roundTrips))
        } catch {
            let unavailable = await watch.unavailable(error)
            let json = (try? JSONText.line(of: UnavailableJSON(of: unavailable, environment))) ?? "{}"
            return .failure(Trouble(error: unavailable.error, json: json, unavailable: unavailable))
        }
    }

    // MARK: - Following

    /// Events from now on, of which who is slow misses some; nil when too many follow.
    func follow() async -> AsyncStream<ByteBuffer>? {
        guard !isStopped, followers.count < HTTPLimits.followersMax else { return nil }
        let (stream, continuation) = AsyncStream<ByteBuffer>.makeStream(bufferingPolicy: .bufferingNewest(2))
        nextFollower += 1
        let number = nextFollower
        followers[number] = continuation
        continuation.onTermination = { _ in Task { await self.leave(number) } }
        continuation.yield(Self.event(await current()))
        return stream
    }

    private func leave(_ number: Int) { followers[number] = nil }

    private func publish(_ result: Result<Frame, Trouble>) {
        guard !followers.isEmpty else { return }
        let event = Self.event(result)
        for follower in followers.values { follower.yield(event) }
    }

    private static func event(_ result: Result<Frame, Trouble>) -> ByteBuffer {
        switch result {
        case .success(let frame): ByteBuffer(string: "retry: 2000\nevent: status\ndata: \(frame.json)\n\n")
        case .failure(let trouble): ByteBuffer(string: "retry: 2000\nevent: unavailable\ndata: \(trouble.json)\n\n")
        }
    }

    // MARK: - History

    func history() -> HistoryRing { ring }
}

/// `{"error":…,"environment":…,"redis":…,"postgres":…}` when no snapshot can be had.
private struct UnavailableJSON: Encodable {
    let environment: Snapshot.Environment
    let error: String
    let redis: Snapshot.Server?
    let redisError: String?
    let postgres: Snapshot.Server?
    let postgresError: String?

    init(of unavailable: Snapshot.Unavailable, _ environment: Snapshot.Environment) {
        self.environment = environment
        error = unavailable.error
        (redis, redisError) = (unavailable.redis, unavailable.redis?.error)
        (postgres, postgresError) = (unavailable.postgres, unavailable.postgres?.error)
    }

    enum CodingKeys: String, CodingKey {
        case environment, error, redis, postgres
        case redisError = "redis_error"
        case postgresError = "postgres_error"
    }
}
