import CLibpq

/// Where Postgres is, and what every session there is told.
///
/// Its descriptions never show the URL or a password.
package struct PostgresConfiguration: Sendable {
    /// What `pg_stat_activity` shows; `application_name` in the URL wins.
    package var applicationName = "onewrite"
    /// The schema that unqualified names are looked up in; nil for the server's own `search_path`.
    package var schema: String?
    /// How long a statement may run at the server; `.zero` for ever.
    package var statementTimeout: Duration = .seconds(10)
    /// How long a statement may wait for a lock; `.zero` for ever.
    package var lockTimeout: Duration = .seconds(5)
    /// How long an open transaction may wait for its next statement; `.zero` for ever.
    ///
    /// Bounds how long a stopped process can hold its locks.
    package var idleInTransactionTimeout: Duration = .seconds(5)
    /// How long connecting may take, within the caller's deadline.
    ///
    /// Resolving a host name happens before, and is bounded by the resolver's own settings only.
    package var connectTimeout: Duration = .seconds(5)
    /// How long ``PostgresConnection/transaction(until:_:)`` waits for the answer to COMMIT.
    package var commitTimeout: Duration = .seconds(5)
    /// Host, port and database as libpq sees them.
    package let address: String

    private let connectionString: String?
    private let givenOptions: String?

    /// Takes a URL apart, without connecting.
    ///
    /// - Parameter url: `postgres://…`, `postgresql://…` or `keyword=value …`; what it leaves out comes from libpq's environment
    ///   (`PGHOST`, `PGPASSFILE`, `PGSERVICE` …), and nil leaves all to it.
    /// - Throws: ``PostgresError/invalidConfiguration(reason:)``, which does not quote the URL.
    ///
    /// libpq: <https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING>
    package init(url: String?) throws(PostgresError) {
        let given = try ConnectionOptions(parsing: url)
        let fallback = ConnectionOptions.environment()
        func option(_ keyword: String) -> String? { given[keyword] ?? fallback[keyword] }
        connectionString = url
        givenOptions = option("options")
        if let service = given["service"], given["host"] == nil {
            address = "service \(service)"
        } else {
            let host = option("host") ?? option("hostaddr") ?? "the local socket"
            let database = option("dbname") ?? option("user") ?? ""
            address = "\(host):\(option("port") ?? "5432")/\(database)"
        }
    }

    /// What libpq gets, in the order in which later ones win.
    var keywords: [(keyword: String, value: String)] {
        // The URL may say better than these.
        var keywords = [
            ("application_name", applicationName),
            ("keepalives", "1"), ("keepalives_idle", "5"), ("keepalives_interval", "2"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "10000"),
        ]
        if let connectionString {
            keywords.append(("dbname", connectionString))
        }
        keywords.append(("client_encoding", "UTF8"))
        keywords.append(("options", options))
        return keywords
    }

    private var options: String {
        var settings = [
            "statement_timeout": statementTimeout.postgresMilliseconds,
            "lock_timeout": lockTimeout.postgresMilliseconds,
            "idle_in_transaction_session_timeout": idleInTransactionTimeout.postgresMilliseconds,
            "synchronous_commit": "on",
            "client_min_messages": "error",
            "bytea_output": "hex",
            "DateStyle": "ISO",
            "TimeZone": "UTC",
        ]
        if let schema {
            settings["search_path"] = PostgresStatement.quoted(identifier: schema)
        }
        let own = settings.sorted { $0.key < $1.key }.map { "-c \($0.key)=\(Self.escapedOption($0.value))" }
        return ([givenOptions].compactMap(\.self) + own).joined(separator: " ")
    }

    /// The server splits `options` at spaces that no backslash precedes.
    private static func escapedOption(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing(" ", with: "\\ ")
    }
}

extension PostgresConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { address }
    package var debugDescription: String { address }
    package var customMirror: Mirror { Mirror(self, children: ["address": address]) }
}

extension Duration {
    /// Whole milliseconds, rounded up: zero would mean "no limit".
    fileprivate var postgresMilliseconds: String {
        let (seconds, attoseconds) = components
        let part = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return String(min(seconds, Int64(Int32.max) / 1000 - 1) * 1000 + part)
    }
}
