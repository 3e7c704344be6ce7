import Foundation
import Harness
import PrivateServers
import Synchronization
import TestSupport
import Testing

/// A log on servers of a test's own, behind an address that can be led from one Redis to another, and its workers.
final class Site: Sendable {
    static let partitions = 4

    let directory: PrivateDirectory
    let postgres: PrivatePostgres
    /// The first master.
    let redis: PrivateRedis
    /// Finds Redis by the address.
    let shop: Harness.Shop
    private let address: String
    private let workers = Mutex<[String: ChildProcess]>([:])
    private let made = Mutex(0)

    /// Runs `body` with a log that was just made, or with none; everything is removed afterwards.
    static func open(
        redisOptions: [String] = [], isEmpty: Bool = false, _ body: @Sendable (Site) async throws -> Void
    ) async throws {
        let directory = try await PrivateDirectory()
        async let redis = PrivateRedis.start(in: directory, options: redisOptions, tcp: true)
        async let postgres = PrivatePostgres.start(in: directory, settings: ["fsync=off"])
        let site = Site(directory, try await redis, try await postgres)
        do {
            try site.lead(to: site.redis)
            if !isEmpty { try await site.shop.run(["init", "--partitions", "\(partitions)"]) }
            try await body(site)
        } catch {
            await site.end()
            throw error
        }
        await site.end()
    }

    private init(_ directory: PrivateDirectory, _ redis: PrivateRedis, _ postgres: PrivatePostgres) {
        self.directory = directory
        self.redis = redis
        self.postgres = postgres
        address = directory.path + "/address"
        shop = Harness.Shop(
            redisURL: "unix://\(address)", postgresURL: postgres.url, executable: BuiltExecutable.path,
            directory: directory.path)
    }

    private func end() async {
        await stopWorkers()
        await redis.stop()
        await postgres.stop(.immediate)
        await directory.remove()
    }

    /// The same log, found in Redis by another URL.
    func shop(at url: String) -> Harness.Shop {
        var shop = shop
        shop.redisURL = url
        return shop
    }

    // MARK: - Servers

    /// Leads the address to a server; connections that are open stay where they are.
    func lead(to server: PrivateRedis) throws {
        let next = address + ".next"
        try FileManager.default.createSymbolicLink(atPath: next, withDestinationPath: server.socketPath)
        try #require(rename(next, address) == 0)
    }

    /// Starts a replica that has all that the master has.
    func replica(clockBehind seconds: Int = 0) async throws -> PrivateRedis {
        let replica = try await PrivateRedis.start(
            in: directory, name: "replica", tcp: true,
            environment: seconds > 0 ? SlowClock.environment(behind: seconds) : [:])
        try await replica.follow(redis)
        return replica
    }

    // MARK: - Workers

    /// Starts a worker of each group.
    func startWorkers(at url: String? = nil) async throws {
        for group in StoreContents.groups { try await startWorker(of: group, at: url) }
    }

    /// Starts a worker.
    @discardableResult
    func startWorker(
        of group: String, at url: String? = nil, environment: [String: String?] = [:]
    ) async throws -> ChildProcess {
        let shop = url.map(shop(at:)) ?? shop
        let worker = try await shop.startWorker(group: group, name: "\(group)-a", environment: environment)
        workers.withLock { $0[group] = worker }
        return worker
    }

    /// Kills a group's worker.
    func kill(workerOf group: String) async {
        await workers.withLock { $0[group] }?.kill()
    }

    func stopWorkers() async {
        let all = workers.withLock { Array($0.values) }
        await withTaskGroup { tasks in
            for worker in all { tasks.addTask { _ = await worker.stop() } }
        }
    }

    /// What a group's worker has said so far.
    func log(of group: String) -> String {
        String(decoding: FileManager.default.contents(atPath: shop.logPath("\(group)-a")) ?? Data(), as: UTF8.self)
    }

    /// How many entries workers say that they put back into the log.
    var healed: Int {
        log(of: "postgres").split(separator: "\n").compactMap { line in
            guard let words = line.firstRange(of: " applied entries put back") else { return nil }
            return line[..<words.lowerBound].split(separator: " ").last.flatMap { Int($0) }
        }.reduce(0, +)
    }

    // MARK: - Orders

    /// Submits new orders of several shops.
    func submit(_ count: Int, at url: String? = nil) async throws -> [Submission] {
        let first = made.withLock { made in
            defer { made += count }
            return made
        }
        let changes = (first..<first + count).map(Self.order)
        return try await Submitters(servers: url.map(shop(at:)) ?? shop, pace: .zero)
            .submit(changes, named: "orders-\(first)")
    }

    private static func order(_ number: Int) -> PlannedChange {
        let note = number.isMultiple(of: 3) ? "{\"note\": \"№ \(number)\"}" : nil
        return PlannedChange(
            kind: .placed, id: "ord-\(number)", shop: "shop-\(number % 7)", customer: "c-\(number)",
            lines: [PlannedChange.Line(sku: "TEA", quantity: Int64(number % 5 + 1))], attributes: note)
    }

    /// Waits until every group has applied and acknowledged everything.
    func drained(at url: String? = nil) async throws {
        let shop = url.map(shop(at:)) ?? shop
        do {
            try await waiting(upTo: .seconds(60), "not everything was applied") {
                try await StoreProbe(shop, partitions: Self.partitions).backlog() == 0
            }
        } catch let error as HarnessError {
            for group in StoreContents.groups { print(log(of: group).suffix(2000)) }
            throw error
        }
    }

    /// Expects that all stores hold exactly the accepted orders, each at the place that its receipt names.
    ///
    /// An entry that was put back has another ID than on its receipt.
    func expectAgreement(_ submissions: [Submission], at url: String? = nil) async throws {
        let contents = try await (url.map(shop(at:)) ?? shop).contents()
        let relocated = submissions.map { submission in
            var receipt = submission.receipt
            if let partition = receipt.partition, let seq = receipt.seq {
                receipt.entry = contents.log[partition].first { $0.seq == seq }?.entry
            }
            return Submission(change: submission.change, receipt: receipt)
        }
        for finding in StoreCheck(contents, relocated).findings {
            let mustCompare = [StoreCheck.Subject.receipts, .log, .ledger, .deliveries].contains(finding.subject)
            #expect(finding.compared > 0 || !mustCompare, "\(finding.subject): nothing was compared")
            #expect(finding.differences.isEmpty, "\(finding.subject): \(finding.differences.prefix(5))")
        }
    }
}
