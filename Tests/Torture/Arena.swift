import Foundation
import Harness
import PrivateServers

/// Servers of a round's own, with a proxy in each way to them, and a log in them.
struct Arena: Sendable {
    static let partitions = 6

    /// A way from Onewrite's processes to a server.
    struct Link: Sendable {
        let name: String
        let proxy: FaultProxy
        var isToPostgres = false
    }

    let directory: PrivateDirectory
    /// The one server, or all nodes of the cluster.
    let nodes: [PrivateRedis]
    let cluster: PrivateCluster?
    let postgres: PrivatePostgres
    /// With one Redis the workers' way to it and the submitters', with a cluster everybody's to each node; and the
    /// workers' to Postgres.
    let links: [Link]
    /// For the check: with one Redis without a proxy between; a cluster's nodes name their proxies to everybody.
    let shop: Shop
    let workersShop: Shop
    let submittersShop: Shop

    /// - Parameters:
    ///   - executable: The path of `onewrite`.
    ///   - bug: The mistake that workers and submitters are told to make; nil for none.
    ///   - trims: Whether the workers trim what is older than a second.
    ///   - isCluster: Whether Redis is a cluster of three masters and three replicas.
    /// - Returns: Servers that run, and a log in them.
    /// - Throws: `ServerError`, ``HarnessError``; `CancellationError`.
    static func open(
        executable: String, bug: String? = nil, trims: Bool = false, isCluster: Bool = false
    ) async throws -> Arena {
        let directory = try await PrivateDirectory()
        // `no`: written to the kernel before each answer, so that a killed server loses nothing (`everysec` may put the
        // write off while an fsync is under way). What a power cut loses is cut off by ourselves.
        let options = ["appendfsync no", "auto-aof-rewrite-percentage 0"]
        async let startedPostgres = PrivatePostgres.start(in: directory, settings: ["fsync=off"])
        let (nodes, cluster) = try await startRedis(in: directory, options, isCluster)
        let postgres = try await startedPostgres
        let toPostgres = Link(
            name: "workers to Postgres",
            proxy: try .start(to: .unix(path: "\(postgres.directory)/.s.PGSQL.\(postgres.port)")), isToPostgres: true)
        let links: [Link]
        if let cluster {
            links = cluster.links.enumerated().map { Link(name: "node \($0)", proxy: $1.clients) } + [toPostgres]
        } else {
            links =
                try ["workers to Redis", "submitters to Redis"].map {
                    Link(name: $0, proxy: try .start(to: .unix(path: nodes[0].socketPath)))
                } + [toPostgres]
        }
        let shop = Shop(
            redisURL: cluster?.url ?? nodes[0].url, postgresURL: postgres.url, executable: executable,
            directory: directory.path)
        var workersShop = shop
        workersShop.postgresURL = "postgresql://postgres@127.0.0.1:\(toPostgres.proxy.port)/postgres"
        var submittersShop = workersShop
        if cluster == nil {
            workersShop.redisURL = "redis://127.0.0.1:\(links[0].proxy.port)/0"
            submittersShop.redisURL = "redis://127.0.0.1:\(links[1].proxy.port)/0"
        }
        if let bug {
            workersShop.variables["ONEWRITE_BUG"] = bug
            submittersShop.variables["ONEWRITE_BUG"] = bug
        }
        if trims { workersShop.variables["ONEWRITE_TRIM"] = "1s" }
        try await shop.run(["init", "--partitions", "\(partitions)"])
        return Arena(
            directory: directory, nodes: nodes, cluster: cluster, postgres: postgres, links: links, shop: shop,
            workersShop: workersShop, submittersShop: submittersShop)
    }

    private static func startRedis(
        in directory: PrivateDirectory, _ options: [String], _ isCluster: Bool
    ) async throws -> ([PrivateRedis], PrivateCluster?) {
        guard isCluster else { return ([try await .start(in: directory, options: options)], nil) }
        // A busy machine must not fail a shard that nobody did anything to.
        let cluster = try await PrivateCluster.start(
            in: directory, hasLinks: true, options: options + ["cluster-node-timeout 2500"])
        return (cluster.nodes, cluster)
    }

    /// The one server, where there is no cluster.
    var redis: PrivateRedis { nodes[0] }

    /// Ends whatever the links do.
    func heal() {
        cluster?.reunite()
        links.forEach { $0.proxy.heal() }
    }

    /// The way of workers that are told to make a mistake, without a proxy between.
    func shop(withBug bug: String?) -> Shop {
        var shop = shop
        if let bug { shop.variables["ONEWRITE_BUG"] = bug }
        return shop
    }

    func close() async {
        if let cluster { await cluster.stop() } else { await redis.stop() }
        await postgres.stop(.immediate)
        await directory.remove()
    }

    /// Copies logs, receipts and Redis's files, and the tables as text.
    func keepEvidence(in folder: String) async throws {
        let script = """
            mkdir -p "$2" && cp -r "$1"/*.log "$1"/*.json "$1"/*.ndjson "$1"/redis "$1"/node-* "$2"/ 2>/dev/null
            cp "$1"/postgres/postgres.log "$2"/ 2>/dev/null
            for table in partitions ledger dead_letters; do
                psql -XAt -c "SELECT * FROM onewrite.$table ORDER BY 1, 2" "$3" >"$2/$table.txt" 2>&1
            done
            true
            """
        _ = try await ChildProcess.run(["/bin/sh", "-c", script, "keep", directory.path, folder, postgres.url])
    }
}
