import PostgresClient
import Testing
import ThreadedIO

@Suite("Where Postgres is, and whether it lets one in")
struct ConfigurationTests {
    @Test("host, port and database are shown, the password is not")
    func address() throws {
        let url = "postgres://me:hunter2@db.example:5433/shop?sslmode=require"
        let configuration = try PostgresConfiguration(url: url)
        #expect(configuration.address == "db.example:5433/shop")
        for text in ["\(configuration)", String(reflecting: configuration), dumped(configuration)] {
            #expect(!text.contains("hunter2"))
        }
        #expect(try PostgresConfiguration(url: "host=/run/pg dbname=shop").address == "/run/pg:5432/shop")
        #expect(try PostgresConfiguration(url: "service=shop").address == "service shop")
    }

    @Test(
        "a URL that isn't one is refused without being quoted",
        arguments: [
            "postgres://me:hunter2@[::1/shop", "postgres://me:hunter2@host:5432x/shop", "http://me:hunter2@host/",
            "postgres://me:hunter2@host/shop?colour=blue", "postgres://me:hun%zzhunter2@host/", "password=hunter2 shop",
            "postgres://me:hun@hunter2@host/shop", "postgres://me:hun/hunter2@host/shop",
            "postgres://me:1/hunter2@host/",
            "postgres://me:hun\"hunter2@host:x/shop", "shop hunter2", "postgres://hunter2\0@host/",
        ])
    func badURL(url: String) throws {
        let error = try #require(postgresError { _ = try PostgresConfiguration(url: url) })
        guard case .invalidConfiguration(let reason) = error else { throw error }
        #expect(!"\(error) \(String(reflecting: error))".contains("hunter2") && !reason.isEmpty)
        #expect(!error.isRetriable)
    }

    @Test("the session has the settings, beside those that the URL asks for")
    func settings() throws {
        var configuration = try PostgresConfiguration(
            url: TestPostgres.shared.url + "&options=-c%20work_mem%3D5MB%20-c%20statement_timeout%3D1h")
        configuration.applicationName = "onewrite test's \\ \"name\""
        configuration.schema = "a \"schema\" \\ of ours"
        configuration.statementTimeout = .milliseconds(1234)
        configuration.lockTimeout = .microseconds(1500)
        configuration.idleInTransactionTimeout = .seconds(3)
        let connection = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil)
        let expected = [
            "application_name": configuration.applicationName, "statement_timeout": "1234ms", "lock_timeout": "2ms",
            "idle_in_transaction_session_timeout": "3s", "synchronous_commit": "on", "client_encoding": "UTF8",
            "work_mem": "5MB", "search_path": #""a ""schema"" \ of ours""#,
        ]
        for (name, value) in expected {
            #expect(
                try connection.query("SELECT current_setting($1)", [.text(name)], until: soon)[0].string(0) == value)
        }
        let version = try #require(
            try connection.query("SELECT current_setting('server_version')", until: soon)[0].string(0))
        #expect(version.hasPrefix(connection.serverVersion) && Int(connection.serverVersion.prefix(2)) != nil)
    }

    @Test("a name in the URL is shown rather than ours")
    func namedInURL() throws {
        let configuration = try PostgresConfiguration(url: TestPostgres.shared.url + "&application_name=theirs")
        let connection = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil)
        #expect(try connection.query("SHOW application_name", until: soon)[0].string(0) == "theirs")
    }

    @Test("a wrong password is said to be one, by SQLSTATE, and not shown")
    func wrongPassword() throws {
        let server = TestPostgres.shared
        let owner = try server.connect()
        try owner.script(
            """
            SELECT pg_advisory_xact_lock(1);
            DROP ROLE IF EXISTS guarded;
            CREATE ROLE guarded LOGIN PASSWORD 'right'
            """, until: soon)
        func connect(_ password: String) throws -> PostgresConnection {
            let url = "postgres://guarded:\(password)@127.0.0.1:\(server.port)/postgres"
            return try PostgresConnection(connectingTo: PostgresConfiguration(url: url), until: soon, interrupt: nil)
        }
        #expect(try connect("right").query("SELECT current_user", until: soon)[0].string(0) == "guarded")
        let error = try #require(postgresError { _ = try connect("hunter2") })
        #expect(error.sqlState == "28P01" && !error.isRetriable && !error.outcomeIsUnknown)
        #expect("\(error)".contains("password authentication failed for user") && "\(error)".contains("127.0.0.1"))
        #expect(!"\(error)".contains("hunter2") && !"\(error)".contains("\n") && !"\(error)".contains("auth.c"))
    }

    @Test("a database that doesn't exist is not worth another try")
    func noDatabase() throws {
        let server = TestPostgres.shared
        let url = "postgres://postgres@127.0.0.1:\(server.port)/nowhere"
        let error = try #require(
            postgresError {
                _ = try PostgresConnection(connectingTo: PostgresConfiguration(url: url), until: soon, interrupt: nil)
            })
        #expect(error.sqlState == "3D000" && !error.isRetriable)
    }

    @Test("nobody at the address is worth another try", arguments: ["/nonexistent", "127.0.0.1"])
    func unreachable(host: String) throws {
        let configuration = try PostgresConfiguration(url: "host=\(host) port=1 dbname=shop password=hunter2")
        let error = try #require(
            postgresError { _ = try PostgresConnection(connectingTo: configuration, until: soon, interrupt: nil) })
        guard case .connectionFailed("\(host):1/shop", nil, let reason) = error else { throw error }
        #expect(reason.contains(host == "127.0.0.1" ? "refused" : "No such file"))
        #expect(error.isRetriable && !error.outcomeIsUnknown)
        #expect(!"\(error)".contains("hunter2") && !"\(error)".contains("\n"))
    }

    private func dumped(_ configuration: PostgresConfiguration) -> String {
        var text = ""
        dump(configuration, to: &text)
        return text
    }
}
