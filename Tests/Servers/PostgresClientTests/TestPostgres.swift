import Foundation
import PostgresClient
import PrivateServers
import Synchronization
import Testing
import ThreadedIO

/// A Postgres server of the tests' own, on a unix socket and a loopback port, gone when the process ends.
final class TestPostgres: Sendable {
    static let shared = TestPostgres()

    let directory: String
    let port: UInt16
    private let process: Process

    var url: String { "postgresql:///postgres?host=\(directory)&port=\(port)&user=postgres" }

    init() {
        do {
            directory = "/tmp/owpg-\(UInt32.random(in: 0 ... .max))"
            port = .random(in: 20000...30000)
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
            try Self.command("/bin/chown", ["postgres", directory]).wait()
            let data = directory + "/data"
            try Self.asPostgres("initdb", ["--no-sync", "-A", "trust", "-U", "postgres", "-D", data]).wait()
            let accesses = """
                local all all trust
                host all guarded 127.0.0.1/32 scram-sha-256
                host all all 127.0.0.1/32 trust

                """
            try accesses.write(toFile: data + "/pg_hba.conf", atomically: false, encoding: .utf8)
            process = try Self.asPostgres(
                "postgres",
                [
                    "-D", data, "-k", directory, "-p", "\(port)", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                    "-c", "logging_collector=off", "-c", "deadlock_timeout=50ms",
                ])
            Self.atExit.withLock { $0.append((process.processIdentifier, directory)) }
        } catch {
            preconditionFailure("no private Postgres: \(error)")
        }
        let deadline = Deadline.after(.seconds(20))
        while (try? connect()) == nil { precondition(!deadline.hasPassed, "the private Postgres does not start") }
    }

    var processID: pid_t { process.processIdentifier }

    func configuration(url: String? = nil) throws -> PostgresConfiguration {
        try PostgresConfiguration(url: url ?? self.url)
    }

    func connect(interrupt: Interrupt? = nil) throws -> PostgresConnection {
        try PostgresConnection(connectingTo: configuration(), until: soon, interrupt: interrupt)
    }

    private static func asPostgres(_ program: String, _ arguments: [String]) throws -> Process {
        let path = try Program.postgres(program)
        guard getuid() == 0 else { return try command(path, arguments) }
        return try command(
            "/usr/bin/setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", path] + arguments)
    }

    private static func command(_ path: String, _ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    private static let atExit = {
        atexit { TestPostgres.stopAll() }
        return Mutex<[(process: pid_t, directory: String)]>([])
    }()

    private static func stopAll() {
        for (process, directory) in atExit.withLock({ $0 }) {
            _ = Glibc.kill(process, SIGQUIT)
            // What is still ending may write a last file.
            let deadline = Deadline.after(.seconds(5))
            while FileManager.default.fileExists(atPath: directory), !deadline.hasPassed {
                try? FileManager.default.removeItem(atPath: directory)
            }
        }
    }
}

extension Process {
    fileprivate func wait() throws {
        waitUntilExit()
        guard terminationStatus == 0 else { throw CocoaError(.executableLoad) }
    }
}

/// Long enough on a busy machine, short enough for a test that hangs.
var soon: Deadline { .after(.seconds(20)) }

/// Runs the body on a thread of its own once the session of that process waits as said in `pg_stat_activity`.
func whenWaiting(
    _ processID: Int32, for event: String, on server: TestPostgres = .shared,
    _ body: @escaping @Sendable (PostgresConnection) throws -> Void
) {
    Thread.detachNewThread {
        do {
            let observer = try server.connect()
            let sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active' AND wait_event = $2"
            let deadline = soon
            while try observer.query(sql, [.integer(Int64(processID)), .text(event)], until: soon).isEmpty {
                guard !deadline.hasPassed else { throw PostgresError.timedOut(outcomeIsUnknown: false) }
            }
            try body(observer)
        } catch {
            Issue.record(error)
        }
    }
}

/// The error that the body throws.
func postgresError(
    _ body: () throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) -> PostgresError? {
    #expect(throws: PostgresError.self, sourceLocation: sourceLocation) { try body() }
}
