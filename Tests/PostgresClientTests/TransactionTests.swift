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

    @Test("what the body did is there for others after the commit, not before")
    func commits() throws {
        let answer = try connection.transaction(until: soon) { connection in
            try increment(1, on: connection)
            #expect(try value(1) == 0)
            return "done"
        }
        #expect(answer == "done")
        #expect(try value(1) == 1)
    }

    @Test("an error of the body rolls back, and is thrown on")
    func rollsBack() throws {
        struct Refused: Error {}
        #expect(throws: Refused.self) {
            try connection.transaction(until: soon) { connection in
                try increment(1, on: connection)
                throw Refused()
            }
        }
        #expect(try value(1) == 0)
        #expect(connection.isUsable && !connection.isInTransaction)
    }

    @Test("an error of the body stops a statement that is not received")
    func rollsBackWithStatementUnderWay() throws {
        struct Refused: Error {}
        #expect(throws: Refused.self) {
            try connection.transaction(until: soon) { connection in
                try increment(1, on: connection)
                try connection.sendExecute(PostgresStatement(name: "slow", sql: "SELECT pg_sleep(30)"), until: soon)
                throw Refused()
            }
        }
        #expect(connection.isUsable && !connection.isInTransaction && !connection.hasStatementUnderWay)
        #expect(try value(1) == 0)
    }

    @Test("a swallowed error does not pass for a commit")
    func swallowedError() throws {
        let error = postgresError {
            try connection.transaction(until: soon) { connection in
                try increment(1, on: connection)
                _ = try? connection.query("SELECT 1 / 0", until: soon)
            }
        }
        #expect(error == .rolledBack)
        #expect(try value(1) == 0)
    }

    @Test("a deadline that has passed by the time of COMMIT rolls back")
    func tooLate() throws {
        let deadline = Deadline.after(.milliseconds(200))
        let error = postgresError {
            try connection.transaction(until: deadline) { connection in
                try increment(1, on: connection)
                Interrupt().wait(until: deadline)
            }
        }
        #expect(error == .timedOut(outcomeIsUnknown: false))
        #expect(try value(1) == 0)
    }

    @Test("COMMIT passes over the interrupt")
    func commitIsNotInterrupted() throws {
        let interrupt = Interrupt()
        connection.interrupt = interrupt
        try connection.transaction(until: soon) { connection in
            try increment(1, on: connection)
            interrupt.signal()
        }
        #expect(try value(1) == 1)
        #expect(postgresError { try increment(1, on: connection) } == .interrupted(outcomeIsUnknown: false))
    }

    @Test("COMMIT that the server does not answer in time leaves the outcome unknown")
    func commitUnanswered() throws {
        var configuration = try TestPostgres.shared.configuration()
        configuration.commitTimeout = .milliseconds(300)
        let hanging = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil)
        try connection.script(
            """
            CREATE FUNCTION \(table)_wait() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON \(table) DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION \(table)_wait()
            """, until: soon)
        let error = postgresError {
            try hanging.transaction(until: soon) { try increment(1, on: $0) }
        }
        #expect(error == .timedOut(outcomeIsUnknown: true))
        #expect(!hanging.isUsable)
    }

    @Test("a lost update is refused as a serialization failure, which is worth another try")
    func serialization() throws {
        let error = postgresError {
            try connection.transaction(until: soon) { connection in
                try connection.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", until: soon)
                try connection.query("SELECT n FROM \(table)", until: soon)
                try increment(1, on: other)
                try increment(1, on: connection)
            }
        }
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
        try connection.sendExecute(
            PostgresStatement(name: "two", sql: "UPDATE \(table) SET n = 9 WHERE id = 2"), until: soon)
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
        try connection.transaction(until: soon) { connection in
            try increment(1, on: connection)
            let error = postgresError { try increment(1, on: impatient) }
            #expect(error?.sqlState == "55P03" && error?.isRetriable == true)
        }
        #expect(impatient.isUsable)
    }

    @Test("an open transaction without statements loses its session, and its lock")
    func idleInTransaction() throws {
        var configuration = try TestPostgres.shared.configuration()
        configuration.idleInTransactionTimeout = .milliseconds(100)
        let sleeper = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil)
        let error = postgresError {
            try sleeper.transaction(until: soon) { sleeper in
                try increment(1, on: sleeper)
                // Waits for the lock until the server has ended the sleeper's session.
                try increment(1, on: other)
                try increment(1, on: sleeper)
            }
        }
        #expect(error?.sqlState == "25P03" && error?.isRetriable == true && error?.outcomeIsUnknown == false)
        #expect(!sleeper.isUsable)
        #expect(try value(1) == 1)
    }
}
