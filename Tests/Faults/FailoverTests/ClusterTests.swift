import Foundation
import Harness
import PrivateServers
import Synchronization
import TestSupport
import Testing

@Suite("A log on a Redis Cluster", .serialized)
struct ClusterTests {
    private static let partitions = Site.partitions

    private func with(
        hasLinks: Bool = false, _ body: @Sendable (Site, PrivateCluster) async throws -> Void
    ) async throws {
        try await Site.open(isEmpty: true) { site in
            let cluster = try await PrivateCluster.start(in: site.directory, hasLinks: hasLinks)
            do {
                try await site.shop(at: cluster.url).run(["init", "--partitions", "\(Self.partitions)"])
                try await body(site, cluster)
            } catch {
                await cluster.stop()
                throw error
            }
            await cluster.stop()
        }
    }

    private func owner(_ partition: Int, _ cluster: PrivateCluster) async throws -> PrivateRedis {
        try await cluster.owner(ofSlot: try await cluster.slot(of: "{onewrite:\(partition)}"))
    }

    @Test(
        "all stores hold each order once, though a shard fails over, all partitions move under load and workers are killed"
    )
    func mainJob() async throws {
        try await with { site, cluster in
            let url = cluster.url
            try await site.startWorkers(at: url)
            let orders = Orders()
            async let submitting: Void = orders.submit(to: site, at: url)
            try await orders.until(60)
            let failed = try await owner(0, cluster)
            await failed.kill()
            try await eventually(within: .seconds(30), "a replica takes its place") {
                do { return try await owner(0, cluster) !== failed } catch is ServerError { return false }
            }
            try await orders.until(orders.count + 60)
            for partition in 0..<Self.partitions {
                let source = try await owner(partition, cluster)
                var target = source
                for other in 0..<Self.partitions where target === source { target = try await owner(other, cluster) }
                try await cluster.move(slot: try await cluster.slot(of: "{onewrite:\(partition)}"), to: target)
                #expect(try await owner(partition, cluster) === target)
                guard try await cluster.movesSlotsWhole(), source.isRunning else { continue }
                try await orders.until(orders.count + 20)
                try await cluster.moveWhole(slot: try await cluster.slot(of: "{onewrite:\(partition)}"), to: source)
                #expect(try await owner(partition, cluster) === source)
            }
            try await orders.until(orders.count + 60)
            for group in ["postgres", "stock", "delivery"] {
                await site.kill(workerOf: group)
                try await site.startWorker(of: group, at: url)
            }
            try await orders.until(orders.count + 60)
            try await failed.restart()
            orders.stop()
            try await submitting
            try await site.drained(at: url)
            try await site.expectAgreement(orders.submissions, at: url)
            #expect(try await site.shop(at: url).run(["audit"]).contains("\nagree"))
        }
    }

    @Test(
        "what a master takes that is cut off from the other nodes, and not from clients, is not twice and not in one store only"
    )
    func isolated() async throws {
        try await with(hasLinks: true) { site, cluster in
            let url = cluster.url
            try await site.startWorkers(at: url)
            let orders = Orders()
            async let submitting: Void = orders.submit(to: site, at: url)
            try await orders.until(60)
            let slot = try await cluster.slot(of: "{onewrite:0}")
            let master = try await cluster.owner(ofSlot: slot)
            let witness = try #require(cluster.nodes.first { $0 !== master })
            cluster.isolate(master)
            try await eventually(within: .seconds(30), "a replica takes its place") {
                do { return try await cluster.owner(ofSlot: slot, as: witness) !== master } catch is ServerError {
                    return false
                }
            }
            // It holds itself for the master still.
            #expect(try await master.replication("role") == "master")
            try await orders.until(orders.count + 60)
            cluster.reunite()
            try await cluster.settle()
            #expect(try await master.replication("role") == "slave")
            orders.stop()
            try await submitting
            // What it took alone is lost, as `--durability server` allows, unless Postgres had it; then it is a duplicate.
            let again = try await Submitters(servers: site.shop(at: url), pace: .zero).submit(
                orders.submissions.map(\.change), named: "again")
            #expect(again.allSatisfy { ["accepted", "duplicate"].contains($0.receipt.outcome) })
            try await site.drained(at: url)
            try await site.expectAgreement(again.map { Orders.accepted($0) }, at: url)
            #expect(try await site.shop(at: url).run(["audit"]).contains("\nagree"))
        }
    }

    @Test("a shard that nobody takes over stalls its own partitions only, and says so")
    func oneShardAway() async throws {
        try await with { site, cluster in
            let url = cluster.url
            for node in cluster.nodes { try await node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no") }
            try await site.startWorkers(at: url)
            let first = try await site.submit(40, at: url)
            try await site.drained(at: url)
            let lost = try await owner(0, cluster)
            let replica = try #require(zip(cluster.masters, cluster.replicas).first { $0.0 === lost }?.1)
            await replica.kill()
            await lost.kill()
            var there: [Int] = []
            for partition in 0..<Self.partitions {
                do { if try await owner(partition, cluster) !== lost { there.append(partition) } } catch is ServerError
                {}
            }
            #expect(!there.isEmpty && there.count < Self.partitions)
            // Shops of the partitions that are there.
            let shops = first.compactMap { submission in
                submission.receipt.partition.flatMap { there.contains($0) ? submission.change.shop : nil }
            }
            let shop = try #require(shops.first)
            let output = try await site.shop(at: url).run([
                "submit", "--id", "while-away", "--shop", shop, "--customer", "c", "--line", "TEA:1", "--wait",
                "postgres,stock,delivery", "--timeout", "20s",
            ])
            #expect(output.contains("accepted"))
            #expect(site.log(of: "stock").contains("a part of the Redis Cluster is away"))
            try await lost.restart()
            try await replica.restart()
            let later = try await site.submit(40, at: url)
            #expect(later.allSatisfy { ["accepted", "duplicate"].contains($0.receipt.outcome) })
            try await site.drained(at: url)
            #expect(try await site.shop(at: url).run(["audit"]).contains("\nagree"))
        }
    }

    @Test("users with the rights of their roles do it all, on every node")
    func rights() async throws {
        try await with { site, cluster in
            let shop = site.shop(at: cluster.url)
            let secret = site.directory.path + "/secret"
            try Data("pw\n".utf8).write(to: URL(filePath: secret))
            let rules = try await shop.run([
                "grants", "redis", "--user", "clerk", "--role", "submit", "--role", "worker", "--role", "read",
                "--password-file", secret,
            ])
            let words = Self.words(rules.split(separator: "\n")[0])
            #expect(words.count > 10 && words[..<3] == ["ACL", "SETUSER", "clerk"])
            for node in cluster.nodes {
                try await node.ask(words)
                try await node.ask("ACL", "SETUSER", "default", "off")
            }
            let url = cluster.url.replacing("://", with: "://clerk:pw@")
            try await site.startWorkers(at: url)
            _ = try await site.submit(40, at: url)
            try await site.drained(at: url)
            #expect(try await site.shop(at: url).run(["audit"]).contains("\nagree"))
        }
    }

    /// The words of an access control list; a selector in its parentheses is one.
    private static func words(_ line: Substring) -> [String] {
        var words: [String] = []
        var isInside = false
        for word in line.split(separator: " ") {
            if isInside { words[words.count - 1] += " " + word } else { words.append(String(word)) }
            if word.hasPrefix("(") { isInside = true }
            if word.hasSuffix(")") { isInside = false }
        }
        return words
    }

    @Test(
        "while a slot moves key by key, what the window knows is never new, also with an older window's hash beside it")
    func windowOnItsWay() async throws {
        try await with { site, cluster in
            let shop = site.shop(at: cluster.url)
            let ids = (0..<12).map { "\($0 * 7919)-order" }
            func order(_ id: String) -> String {
                #"{"id":"\#(id)","shop":"s","customer":"c","lines":[{"sku":"A","quantity":1}]}"#
            }
            let (known, all) = (ids.map(order).joined(separator: "\n"), "\(site.directory.path)/known.ndjson")
            try known.write(toFile: all, atomically: true, encoding: .utf8)
            let first = try await shop.run(["submit", all, "--json"])
            let partition = try #require(first.firstMatch(of: /"partition":(\d+)/).flatMap { Int($0.1) })
            let tag = "{onewrite:\(partition)}"
            let source = try await owner(partition, cluster)
            // As an older log's window is in its first time after the upgrade; it alone knows an order, with another payload.
            let window = try await source.ask("GET", "\(tag):seen").split(separator: " ").map(String.init)
            #expect(window.count == 9 && window[4] == "-", "\(window)")
            let words = window[0...3] + ["old", "0"] + window[6...]
            try await source.ask("SET", "\(tag):seen", words.joined(separator: " "))
            try await source.ask("HSET", "\(tag):seen:old", "since", window[1])
            let digest = String(repeating: "0", count: 32)
            try await source.ask("HSET", "\(tag):seen:old", "s older", "\(digest) 1 1-1")
            try "\(known)\n\(order("older"))\n".write(toFile: all, atomically: true, encoding: .utf8)
            func again(_ more: [String] = [all]) async throws -> [String: Int] {
                let output = try await shop.run(
                    ["submit", "--json", "--timeout", "1s"] + more, endingWith: [0, 65, 69, 75])
                let outcomes = output.matches(of: /"outcome":"(\w+)"/).map { String($0.1) }
                return Dictionary(outcomes.map { ($0, 1) }, uniquingKeysWith: +)
            }
            #expect(try await again() == ["duplicate": 12, "conflict": 1])
            var target = source
            for other in 0..<Self.partitions where target === source { target = try await owner(other, cluster) }
            var steps = 0
            try await cluster.move(
                slot: try await cluster.slot(of: tag), to: target, first: "\(tag):seen:\(window[1])"
            ) {
                steps += 1
                guard steps == 1 else {
                    let outcomes = try await again()
                    #expect(outcomes["accepted"] == nil, "step \(steps): \(outcomes)")
                    return
                }
                // A bucket is there already: its IDs have to wait, and no others.
                var outcomes: [String: Int] = [:]
                for id in ids {
                    let order = ["--id", id, "--shop", "s", "--customer", "c", "--line", "A:1"]
                    outcomes.merge(try await again(order), uniquingKeysWith: +)
                }
                #expect(outcomes.keys.sorted() == ["duplicate", "unknown"], "\(outcomes)")
            }
            // On another server the log has to be opened anew.
            _ = try await shop.run(["open"])
            #expect(try await again() == ["duplicate": 12, "conflict": 1])
            #expect(try await target.ask("XLEN", "\(tag):log") == "12")
        }
    }

    @Test("every command that asks or keeps a log works as on one server")
    func commands() async throws {
        try await with { site, cluster in
            let shop = site.shop(at: cluster.url)
            try await site.startWorkers(at: cluster.url)
            let submissions = try await site.submit(60, at: cluster.url)
            try await site.drained(at: cluster.url)
            let order = try #require(submissions.first)
            let text = try await shop.run(["order", order.change.id, "--shop", order.change.shop])
            #expect(text.contains("postgres  applied") && text.contains("stock     applied"))
            #expect(try await shop.run(["stock", "show", "--shop", order.change.shop]).contains("TEA"))
            // Nothing to be told.
            #expect(try await shop.run(["pending"]).isEmpty)
            #expect(try await shop.run(["dead", "list"]).isEmpty)
            #expect(try await shop.run(["log"]).split(separator: "\n").count == 60)
            for (id, durability) in [("by-replica", "replicas=1"), ("by-ledger", "applied")] {
                let output = try await shop.run([
                    "submit", "--id", id, "--shop", order.change.shop, "--customer", "c", "--line",
                    "TEA:1",
                    "--durability", durability, "--timeout", "20s",
                ])
                #expect(output.contains("accepted"))
            }
            try await site.drained(at: cluster.url)
            #expect(try await shop.run(["functions", "load"]).contains("there already"))
            #expect(try await shop.run(["open"]).contains("\(Self.partitions) open already"))
            #expect(try await shop.run(["status"]).contains("postgres    0"))
            #expect(try await shop.run(["trim", "--keep-entries", "1", "--yes"]).contains("entries dropped"))
            #expect(try await shop.run(["rebuild", "stock", "--yes"]).contains("\(Self.partitions) rebuilt"))
            #expect(try await shop.run(["audit"]).contains("\nagree"))
        }
    }
}

/// Orders that are submitted in the background, a few at a time.
private final class Orders: Sendable {
    private let state = Mutex((submissions: [Submission](), isStopping: false))

    var submissions: [Submission] { state.withLock { $0.submissions } }
    var count: Int { state.withLock { $0.submissions.count } }

    func stop() { state.withLock { $0.isStopping = true } }

    func submit(to site: Site, at url: String) async throws {
        while !state.withLock({ $0.isStopping }) {
            // Each is submitted once: a duplicate is one whose first answer was lost.
            let more = try await site.submit(20, at: url).map(Self.accepted)
            state.withLock { $0.submissions += more }
        }
    }

    /// A duplicate as the accepted one that it is of.
    static func accepted(_ submission: Submission) -> Submission {
        let told = submission.receipt
        guard told.outcome == "duplicate" else { return submission }
        return Submission(
            change: submission.change,
            receipt: ReceiptLine(
                id: told.id, outcome: "accepted", partition: told.partition, seq: told.seq, entry: told.entry))
    }

    func until(_ count: Int) async throws {
        try await eventually(within: .seconds(60), "\(count) orders are accepted") { self.count >= count }
    }
}
