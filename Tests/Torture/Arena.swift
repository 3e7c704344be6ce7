import Foundation
import Harness
import PrivateServers

/// Servers of a round's own, with a proxy in each way to them, and a log in them.
struct Arena: Sendable {
    static let partitions = 6

    let directory: PrivateDirectory
    let redis: PrivateRedis
    let postgres: PrivatePostgres
    /// The workers' way to Redis, the submitters', and the workers' to Postgres.
    let links: [FaultProxy]
    /// Without a proxy between: for the check.
    let shop: Shop
    let workersShop: Shop
    let submittersShop: Shop

    /// - Parameters:
    ///   - executable: The path of `onewrite`.
    ///   - bug: The mistake that workers and submitters are told to make; nil for none.
    ///   - trims: Whether the workers trim what is older than a second.
    /// - Returns: Servers that run, and a log in them.
    /// - Throws: `ServerError`, ``HarnessError``; `CancellationError`.
    static func open(executable: String, bug: String? = nil, trims: Bool = false) async throws -> Arena {
        let directory = try await PrivateDirectory()
        // `no`: written to the kernel before each answer, so that a killed server loses nothing (`everysec` may put the
        // write off while an fsync is under way). What a power cut loses is cut off by ourselves.
        async let startedRedis = PrivateRedis.start(
            in: directory, options: ["appendfsync no", "auto-aof-rewrite-percentage 0"])
        async let startedPostgres = PrivatePostgres.start(in: directory, settings: ["fsync=off"])
        let (redis, postgres) = (try await startedRedis, try await startedPostgres)
        let socket = "\(postgres.directory)/.s.PGSQL.\(postgres.port)"
        let links = [
            try FaultProxy.start(to: .unix(path: redis.socketPath)),
            try FaultProxy.start(to: .unix(path: redis.socketPath)), try FaultProxy.start(to: .unix(path: socket)),
        ]
        let shop = Shop(
            redisURL: redis.url, postgresURL: postgres.url, executable: executable, directory: directory.path)
        var workersShop = shop
        workersShop.redisURL = "redis://127.0.0.1:\(links[0].port)/0"
        workersShop.postgresURL = "postgresql://postgres@127.0.0.1:\(links[2].port)/postgres"
        if let bug { workersShop.variables["ONEWRITE_BUG"] = bug }
        if trims { workersShop.variables["ONEWRITE_TRIM"] = "1s" }
        var submittersShop = workersShop
        submittersShop.redisURL = "redis://127.0.0.1:\(links[1].port)/0"
        try await shop.run(["init", "--partitions", "\(partitions)"])
        return Arena(
            directory: directory, redis: redis, postgres: postgres, links: links, shop: shop, workersShop: workersShop,
            submittersShop: submittersShop)
    }

    /// The way of workers that are told to make a mistake, without a proxy between.
    func shop(withBug bug: String?) -> Shop {
        var shop = shop
        if let bug { shop.variables["ONEWRITE_BUG"] = bug }
        return shop
    }

    func close() async {
        await redis.stop()
        await postgres.stop(.immediate)
        await directory.remove()
    }

    /// Copies logs, receipts and Redis's files, and the tables as text.
    func keepEvidence(in folder: String) async throws {
        let script = """
            mkdir -p "$2" && cp -r "$1"/*.log "$1"/*.json "$1"/*.ndjson "$1"/redis "$2"/ 2>/dev/null
            cp "$1"/postgres/postgres.log "$2"/ 2>/dev/null
            for table in partitions ledger dead_letters; do
                psql -XAt -c "SELECT * FROM onewrite.$table ORDER BY 1, 2" "$3" >"$2/$table.txt" 2>&1
            done
            true
            """
        _ = try await ChildProcess.run(["/bin/sh", "-c", script, "keep", directory.path, folder, postgres.url])
    }
}
