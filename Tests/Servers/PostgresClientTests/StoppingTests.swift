import Foundation
import PostgresClient
import Testing
import ThreadedIO

@Suite("Stopping and losing a statement")
struct StoppingTests {
    let interrupt = Interrupt()
    let connection: PostgresConnection

    init() throws {
        connection = try TestPostgres.shared.connect(interrupt: interrupt)
    }

    @Test("an interrupt cancels the statement at the server, and the connection stays usable")
    func interrupted() throws {
        let interrupt = interrupt
        whenWaiting(connection.processID, for: "PgSleep") { _ in interrupt.signal() }
        let error = postgresError { try connection.query("SELECT pg_sleep(30)", until: soon) }
        #expect(error == .interrupted(outcomeIsUnknown: false))
        #expect(
            postgresError { try connection.query("SELECT 1", until: soon) } == .interrupted(outcomeIsUnknown: false))
        interrupt.clear()
        #expect(try connection.query("SELECT pg_backend_pid()", until: soon)[0].int64(0) == Int64(connection.processID))
    }

    @Test("a deadline cancels the statement at the server, and the connection stays usable")
    func deadline() throws {
        let error = postgresError { try connection.query("SELECT pg_sleep(30)", until: .after(.milliseconds(100))) }
        #expect(error == .timedOut(outcomeIsUnknown: false) && error?.isRetriable == true)
        let passed = Deadline.after(.zero)
        #expect(postgresError { try connection.query("SELECT 1", until: passed) } == .timedOut(outcomeIsUnknown: false))
        #expect(try connection.query("SELECT 1", until: soon)[0].int64(0) == 1)
    }

    @Test("a statement that ends all the same, though stopped, gives its result")
    func tooLateToStop() throws {
        try connection.send("SELECT 7", until: soon)
        let observer = try TestPostgres.shared.connect()
        let idle = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'idle'"
        let deadline = soon
        while try observer.query(idle, [.integer(Int64(connection.processID))], until: soon).isEmpty {
            #expect(!deadline.hasPassed)
        }
        interrupt.signal()
        #expect(try connection.receive(until: soon)[0].int64(0) == 7)
        interrupt.clear()
        #expect(try connection.query("SELECT 8", until: soon)[0].int64(0) == 8)
    }

    @Test("a stream that never pauses is stopped by an interrupt")
    func interruptedStream() throws {
        let error = postgresError {
            try connection.forEachRow("SELECT generate_series(1, 100000000)", until: soon) { row in
                if row.int64(0) == 1000 { interrupt.signal() }
            }
        }
        #expect(error == .interrupted(outcomeIsUnknown: false))
        interrupt.clear()
        #expect(try connection.query("SELECT 1", until: soon)[0].int64(0) == 1)
    }

    @Test("statement_timeout bounds what this side forgot")
    func statementTimeout() throws {
        var configuration = try TestPostgres.shared.configuration()
        configuration.statementTimeout = .milliseconds(100)
        let connection = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil)
        let error = postgresError { try connection.query("SELECT pg_sleep(30)", until: soon) }
        #expect(error?.sqlState == "57014" && error?.isRetriable == true && connection.isUsable)
    }

    @Test(
        "a session that an administrator ends says so; outside a transaction the outcome is unknown",
        arguments: [true, false])
    func terminated(inTransaction: Bool) throws {
        whenWaiting(connection.processID, for: "PgSleep") { [processID = connection.processID] observer in
            try observer.query("SELECT pg_terminate_backend($1)", [.integer(Int64(processID))], until: soon)
        }
        if inTransaction { try connection.begin(until: soon) }
        let error = postgresError { try connection.query("SELECT pg_sleep(30)", until: soon) }
        #expect(error?.sqlState == "57P01" && error?.isRetriable == true)
        #expect(error?.outcomeIsUnknown == !inTransaction)
        #expect(!connection.isUsable)
        let next = postgresError { try connection.query("SELECT 1", until: soon) }
        #expect(next == .connectionLost(reason: "it is closed", outcomeIsUnknown: false))
    }

    @Test(
        "a server that is killed loses the connection; outside a transaction the outcome is unknown",
        arguments: [true, false])
    func killed(inTransaction: Bool) throws {
        let server = TestPostgres()
        let connection = try server.connect()
        whenWaiting(connection.processID, for: "PgSleep", on: server) { _ in kill(server.processID, SIGKILL) }
        if inTransaction { try connection.begin(until: soon) }
        let error = postgresError { try connection.query("SELECT pg_sleep(30)", until: soon) }
        guard case .connectionLost = error else {
            Issue.record("\(error as Any)")
            return
        }
        #expect(error?.outcomeIsUnknown == !inTransaction && error?.isRetriable == true)
        #expect(!connection.isUsable)
    }

    @Test("a session that was ended before the statement says so")
    func terminatedWhileIdle() throws {
        let observer = try TestPostgres.shared.connect()
        let processID = PostgresValue.integer(Int64(connection.processID))
        try observer.query("SELECT pg_terminate_backend($1)", [processID], until: soon)
        let deadline = soon
        let sql = "SELECT 1 FROM pg_stat_activity WHERE pid = $1"
        while try !observer.query(sql, [processID], until: soon).isEmpty { #expect(!deadline.hasPassed) }
        let error = postgresError { try connection.begin(until: soon) }
        #expect(error?.sqlState == "57P01" && error?.outcomeIsUnknown == false && !connection.isUsable)
    }

    @Test("a statement is stopped at whatever moment the server is with it", arguments: 0..<50)
    func stoppedAtOnce(attempt: Int) throws {
        try connection.begin(until: soon)
        try connection.send("SELECT pg_sleep(30)", until: soon)
        connection.rollback()
        #expect(connection.isUsable && !connection.isInTransaction)
    }

    @Test("a server that stands still is given up soon after the deadline")
    func stopped() throws {
        let server = TestPostgres()
        let connection = try server.connect()
        let processes = [server.processID, connection.processID]
        processes.forEach { kill($0, SIGSTOP) }
        defer { processes.forEach { kill($0, SIGCONT) } }
        let start = ContinuousClock.now
        let error = postgresError { try connection.query("SELECT 1", until: .after(.milliseconds(100))) }
        #expect(error == .timedOut(outcomeIsUnknown: true))
        #expect(!connection.isUsable)
        #expect(start.duration(to: .now) < .seconds(5))
    }
}
