import Connections
import Harness
import PostgresClient
import PrivateServers
import Testing
import TestSupport
import ThreadedIO

/// A log whose workers and commands find Postgres behind a pgbouncer; who checks them goes past it.
struct PooledShop: Sendable {
    static let partitions = 8

    let postgres: PrivatePostgres
    let pooler: PrivatePooler
    /// Finds Postgres behind the pooler.
    let shop: Harness.Shop
    /// Finds Postgres itself.
    let direct: Harness.Shop
    let fleet: WorkerFleet

    /// Runs `body` with a log that was just made; everything is removed afterwards.
    ///
    /// - Parameters:
    ///   - mode: The pooler's.
    ///   - sessions: How many of Postgres's it lends to all its clients; nil for as many as they want.
    ///   - resets: Whether it clears each that it is given back.
    ///   - body: The test.
    /// - Throws: What the body throws; `ServerError` when a server did not start.
    static func open(
        _ mode: PrivatePooler.Mode, sessions: Int? = nil, resets: Bool = true,
        _ body: (PooledShop) async throws -> Void
    ) async throws {
        let directory = try await PrivateDirectory()
        async let starting = PrivateRedis.start(in: directory)
        let postgres = try await PrivatePostgres.start(in: directory, settings: ["fsync=off"])
        let redis = try await starting
        var settings = sessions.map { ["default_pool_size = \($0)"] } ?? []
        if resets { settings += ["server_reset_query = DISCARD ALL", "server_reset_query_always = 1"] }
        let pooler = try await PrivatePooler.start(before: postgres, mode, in: directory, settings: settings)
        let direct = Harness.Shop(
            redisURL: redis.url, postgresURL: postgres.url, executable: BuiltExecutable.path, directory: directory.path)
        var shop = direct
        shop.postgresURL = pooler.url
        let pooled = PooledShop(
            postgres: postgres, pooler: pooler, shop: shop, direct: direct,
            fleet: WorkerFleet(shop, StoreProbe(direct, partitions: partitions)))
        do {
            try await shop.run(["init", "--partitions", "\(partitions)"])
            try await body(pooled)
        } catch {
            await pooled.end(redis, directory)
            throw error
        }
        await pooled.end(redis, directory)
    }

    private func end(_ redis: PrivateRedis, _ directory: PrivateDirectory) async {
        await fleet.stopAll()
        await pooler.kill()
        await redis.stop()
        await postgres.stop(.immediate)
        await directory.remove()
    }

    /// Runs a command of `onewrite` behind the pooler.
    func run(_ arguments: String..., environment: [String: String?] = [:]) async throws -> Ran {
        Ran(
            try await ChildProcess.run(
                [shop.executable] + arguments, environment: shop.environment.merging(environment) { $1 },
                in: shop.directory))
    }

    /// Asks Postgres itself; the first column.
    @discardableResult
    func sql(_ statement: String) async throws -> [String] {
        try await CommandLane("sql").run { _ in
            try direct.postgres().query(statement, until: .after(.seconds(10))).map { $0.string(0) ?? "" }
        }
    }

    /// Waits until every group has applied and acknowledged everything.
    func drained() async throws {
        try await eventually(within: .seconds(120), "everything is applied and acknowledged") {
            try await StoreProbe(direct, partitions: Self.partitions).backlog() == 0
        }
    }

    /// Expects that all stores hold exactly what the accepted changes give, in the log's order.
    func expectAgreement(_ submissions: [Submission]) async throws {
        for finding in StoreCheck(try await direct.contents(), submissions).findings {
            let mustCompare = [StoreCheck.Subject.receipts, .log, .ledger, .orders].contains(finding.subject)
            #expect(finding.compared > 0 || !mustCompare, "\(finding.subject): nothing was compared")
            #expect(finding.differences.isEmpty, "\(finding.subject): \(finding.differences.prefix(5))")
        }
    }
}
