import Harness
import OrderLog
import PrivateServers

/// The servers of a benchmark: Onewrite lives in databases of its own, the bare loop in the first ones.
///
/// Both reach them by TCP, as the yardstick does. Redis keeps an AOF (`everysec`) and Postgres commits durably; nothing
/// rewrites the AOF while somebody is measured.
struct BenchServers: Sendable {
    let redis: PrivateRedisServers
    let postgres: PrivatePostgres
    let shop: Shop
    let gauge: StoreGauge
    let partitions: Int

    static func start(in directory: PrivateDirectory, for plan: BenchPlan) async throws -> BenchServers {
        async let startedRedis = startRedis(in: directory, for: plan)
        // Postgres's own default, where private servers make do with less.
        async let startedPostgres = PrivatePostgres.start(in: directory, settings: ["shared_buffers=128MB"], tcp: true)
        let (redis, postgres) = (try await startedRedis, try await startedPostgres)
        // A cluster has one database.
        let database = plan.masters != nil ? "" : plan.isEncrypted ? "&db=1" : "?db=1"
        var shop = Shop(
            redisURL: redis.url + database, postgresURL: try await postgres.createDatabase("onewrite"),
            executable: try Shop.ownExecutable(), directory: directory.path)
        if let trim = plan.trim { shop.variables["ONEWRITE_TRIM"] = trim }
        return BenchServers(
            redis: redis, postgres: postgres, shop: shop, gauge: StoreGauge(shop, partitions: 1), partitions: 1)
    }

    private static func startRedis(
        in directory: PrivateDirectory, for plan: BenchPlan
    ) async throws -> PrivateRedisServers {
        let options = ["auto-aof-rewrite-percentage 0"]
        if let masters = plan.masters {
            return .cluster(try await .start(in: directory, masters: masters, hasReplicas: false, options: options))
        }
        var tls: PrivateTLS?
        if plan.isEncrypted {
            let authority = try await PrivateAuthority(in: directory)
            tls = PrivateTLS(try await authority.issue("redis"), of: authority)
        }
        return .one(try await .start(in: directory, options: options, tcp: true, tls: tls))
    }

    /// The same servers for logs of so many partitions.
    func with(partitions: Int) -> BenchServers {
        BenchServers(
            redis: redis, postgres: postgres, shop: shop, gauge: StoreGauge(shop, partitions: partitions),
            partitions: partitions)
    }

    func stop() async {
        await redis.stop()
        // Nobody reads what an orderly stop would write.
        await postgres.stop(.immediate)
    }

    /// Makes new, empty logs.
    func renew() async throws {
        try await gauge.clear()
        try await shop.run(["init", "--partitions", "\(partitions)"])
    }

    /// CPU time that the servers have used so far; Redis's by process.
    var time: (redis: [Duration], postgres: Duration) {
        (redis.processes.map { ProcessTable.timeOfServer($0.pid) }, ProcessTable.timeOfServer(postgres.pid))
    }
}
