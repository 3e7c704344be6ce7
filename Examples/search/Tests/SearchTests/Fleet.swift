import Foundation
import GRDB
import OnewriteTesting
import Testing

@testable import SearchIndex

/// Two processes that serve the group `search`, replaced when they are killed, and a look at the index beside them.
final class Fleet {
    private let path: String
    private let servers: PrivateServers
    private let index: DatabaseQueue
    private var workers: [(name: String, program: TestProgram)] = []
    private var started = 0
    private(set) var kills = 0
    private(set) var stops = 0

    init(index path: String, _ servers: PrivateServers) async throws {
        self.path = path
        self.servers = servers
        _ = try SearchIndex(path: path)
        var configuration = Configuration()
        configuration.busyMode = .timeout(0.05)
        index = try DatabaseQueue(path: path, configuration: configuration)
        for _ in 0..<2 { try await start() }
    }

    private func start() async throws {
        started += 1
        let name = "search-\(started)"
        let program = try await servers.start(
            ["search-worker", "run", "--index", path, "--lease", "1", "--name", name], log: "\(path).log")
        workers.append((name, program))
    }

    // MARK: - What is done to it

    /// Kills a worker, one that holds partitions if there is one, and starts another.
    func killOne() async throws {
        let (name, program) = try victim()
        await program.kill()
        workers.removeAll { $0.name == name }
        kills += 1
        try await start()
    }

    /// Stops a worker until others have taken its partitions over, and lets it run on.
    func stopAndResume() async throws {
        var worker = try victim()
        // The pause lets it go on with the transaction in which it was stopped.
        try await eventually(
            every: .milliseconds(20), "a worker is stopped outside of a transaction, and holds partitions"
        ) {
            worker = try self.victim()
            worker.program.send(SIGSTOP)
            // Stopped within a transaction it keeps all others out until it runs on, as SQLite does it.
            if try self.canWrite(), try self.owners().contains(worker.name) { return true }
            worker.program.send(SIGCONT)
            return false
        }
        defer { worker.program.send(SIGCONT) }
        try await eventually("the others have its partitions") { try !self.owners().contains(worker.name) }
        stops += 1
    }

    /// Ends all of it with SIGTERM.
    func endOrderly() async throws {
        for worker in workers { worker.program.send(SIGTERM) }
        for worker in workers {
            let code = try await worker.program.exit()
            #expect(code == 0, "\(worker.name)")
        }
    }

    private func victim() throws -> (name: String, program: TestProgram) {
        let owners = try owners()
        return try #require(workers.filter { owners.contains($0.name) }.randomElement() ?? workers.randomElement())
    }

    // MARK: - What the index holds

    /// How many changes it is over.
    func applied() throws -> Int {
        try index.read { db in try Int.fetchOne(db, sql: "SELECT sum(seq) FROM positions") ?? 0 }
    }

    /// How many orders it has: where they could be seen before the position, a kill would fall between the two.
    func indexed() throws -> Int {
        try index.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM orders") ?? 0 }
    }

    /// A query's rows, the columns with `|` between them as psql prints them.
    func rows(_ query: String) throws -> [String] {
        try index.read { db in
            try Row.fetchAll(db, sql: query).map { row in
                row.databaseValues.map { String.fromDatabaseValue($0) ?? "\($0)" }.joined(separator: "|")
            }
        }
    }

    /// Has SQLite compare its words with the orders.
    ///
    /// <https://www.sqlite.org/fts5.html#the_integrity_check_command>
    func checkWords() throws {
        try index.write { db in try db.execute(sql: "INSERT INTO words (words, rank) VALUES ('integrity-check', 1)") }
    }

    private func owners() throws -> Set<String> {
        try index.read { db in try String.fetchSet(db, sql: "SELECT owner FROM positions") }
    }

    private func canWrite() throws -> Bool {
        do {
            try index.write { db in try db.execute(sql: "UPDATE sold SET units = units WHERE false") }
            return true
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
            return false
        }
    }
}
