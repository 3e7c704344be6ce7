import PostgresClient
import Testing
import ThreadedIO

@Suite("Transactions")
struct TransactionTests {
    let connection: PostgresConnection
    let other: PostgresConnection
    let table = "t\(UInt64.random(in: 0 ... .max))"

    init() throws {
        connection = try TestPostgres.shared.connect()
        other = try TestPostgres.shared.connect()
        try connection.script(
            "CREATE TABLE \(table) (id int PRIMARY KEY, n int); INSERT INTO \(table) VALUES (1, 0), (2, 0)", until: soon
        )
    }

    private func value(_ id: Int) throws -> Int64? {
        try other.query("SELECT n FROM \(table) WHERE id = \(id)", until: soon)[0].int64(0)
    }

    private func increment(_ id: Int, on connection: PostgresConnection) throws {
        try connection.query("UPDATE \(table) SET n = n + 1 WHERE id = \(id)", until: soon)
    }

    @Test("what was rolled back was never there")
    func rollsBack() throws {
        try connection.begin(until: soon)
        try increment(1, on: connection)
        #expect(connection.isInTransaction)
        connection.rollback()
        #expect(connection.isUsable && !connection.isInTransaction)
        #expect(try value(1) == 0)
    }

    @Test("rolling back stops a statement that is not received")
    func rollsBackWithStatementUnderWay() throws {
        try connection.begin(until: soon)
        try increment(1, on: connection)
        try connection.send("SELECT pg_sleep(30)", until: soon)
        connection.rollback()
        #expect(connection.isUsable && !connection.isInTransaction && !connection.hasStatementUnderWay)
        #expect(try value(1) == 0)
    }

    @Test("a lost update is refused as a serialization failure, which is worth another try")
    func serialization() throws {
        try connection.begin("ISOLATION LEVEL REPEATABLE READ", until: soon)
        try increment(1, on: other)
        let error = postgresError { try increment(1, on: connection) }
        connection.rollback()
        #expect(error?.sqlState == "40001" && error?.isRetriable == true && error?.outcomeIsUnknown == false)
        #expect(try value(1) == 1)
    }

    @Test("one of two that wait for each other is refused, and may try again")
    func deadlock() throws {
        var errors: [PostgresError] = []
        try connection.begin(until: soon)
        try other.begin(until: soon)
        try increment(1, on: connection)
        try increment(2, on: other)
        try connection.send(
            "UPDATE \(table) SET n = 9 WHERE id = 2", until: soon)
        do { try increment(1, on: other) } catch let error as PostgresError { errors.append(error) }
        other.rollback()
        do { try connection.receive(until: soon) } catch { errors.append(error) }
        connection.rollback()
        #expect(errors.map(\.sqlState) == ["40P01"] && errors.allSatisfy(\.isRetriable))
    }

    @Test("a lock that another holds is waited for no longer than lock_timeout")
    func lockTimeout() throws {
        var configuration = try TestPostgres.shared.configuration()
        configuration.lockTimeout = .milliseconds(100)
        let impatient = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil)
        try connection.begin(until: soon)
        try increment(1, on: connection)
        let error = postgresError { try increment(1, on: impatient) }
        connection.rollback()
        #expect(error?.sqlState == "55P03" && error?.isRetriable == true)
        #expect(impatient.isUsable)
    }

    @Test("an open transaction without statements loses its session, and its lock")
    func idleInTransaction() throws {
        var configuration = try TestPostgres.shared.configuration()
        configuration.idleInTransactionTimeout = .milliseconds(100)
        let sleeper = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil)
        try sleeper.begin(until: soon)
        try increment(1, on: sleeper)
        // Waits for the lock until the server has ended the sleeper's session.
        try increment(1, on: other)
        let error = postgresError { try increment(1, on: sleeper) }
        #expect(error?.sqlState == "25P03" && error?.isRetriable == true && error?.outcomeIsUnknown == false)
        #expect(!sleeper.isUsable)
        #expect(try value(1) == 1)
    }
}
