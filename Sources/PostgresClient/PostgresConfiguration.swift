import CLibpq
import ThreadedIO

/// Where Postgres is, and what every transaction there is told.
///
/// A session is told nothing: behind a pooler it is shared with others, who would meet what was left in it. So settings
/// travel with each transaction, and end with it. Its descriptions never show the URL or a password.
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
    /// Whether an index is used wherever there is one, also for a table that is still small.
    package var avoidsScans = false
    /// A file with the password, read at each connection; nil where it is in the URL, or libpq finds it.
    package var passwordFile: String?
    /// How long connecting may take, within the caller's deadline.
    ///
    /// Resolving a host name happens before, and is bounded by the resolver's own settings only.
    package var connectTimeout: Duration = .seconds(5)
    /// Host, port and database as libpq sees them.
    package let address: String

    private let connectionString: String?

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
        if let service = given["service"], given["host"] == nil {
            address = "service \(service)"
        } else {
            let host = option("host") ?? option("hostaddr") ?? "the local socket"
            let database = option("dbname") ?? option("user") ?? ""
            address = "\(host):\(option("port") ?? "5432")/\(database)"
        }
    }

    /// Whether libpq takes a text for a URL; otherwise it is keywords and values, whatever these hold.
    package static func isURL(_ text: String) -> Bool {
        text.utf8.starts(with: "postgres://".utf8) || text.utf8.starts(with: "postgresql://".utf8)
    }

    /// What libpq gets, in the order in which later ones win.
    ///
    /// - Throws: ``PostgresError/invalidConfiguration(reason:)`` when there is no password in the file that should hold it.
    func keywords() throws(PostgresError) -> [(keyword: String, value: String)] {
        // The URL may say better than these.
        var keywords = [
            ("application_name", applicationName),
            ("keepalives", "1"), ("keepalives_idle", "5"), ("keepalives_interval", "2"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "10000"),
        ]
        if let connectionString {
            keywords.append(("dbname", connectionString))
        }
        do throws(SecretFile.Trouble) {
            if let passwordFile { keywords.append(("password", try SecretFile.read(passwordFile))) }
        } catch {
            throw .invalidConfiguration(reason: error.description)
        }
        // A pooler knows this one, and sets it in each session that it lends.
        keywords.append(("client_encoding", "UTF8"))
        return keywords
    }

    /// What each transaction is told, by name.
    private var settings: [(name: String, value: String)] {
        var settings = [
            ("statement_timeout", statementTimeout.postgresMilliseconds),
            ("lock_timeout", lockTimeout.postgresMilliseconds),
            ("idle_in_transaction_session_timeout", idleInTransactionTimeout.postgresMilliseconds),
            ("synchronous_commit", "on"), ("bytea_output", "hex"), ("DateStyle", "ISO"), ("TimeZone", "UTC"),
        ]
        if avoidsScans { settings.append(("enable_seqscan", "off")) }
        if let schema { settings.append(("search_path", PostgresQuoting.quoted(identifier: schema))) }
        return settings
    }

    /// The statement that tells a transaction its settings, as its first, and returns the server process that it is in.
    ///
    /// `set_config` rather than SET LOCAL, which warns where no BEGIN came before.
    ///
    /// Postgres: <https://www.postgresql.org/docs/15/functions-admin.html#FUNCTIONS-ADMIN-SET>
    var prelude: String {
        let calls = settings.map { "set_config('\($0.name)', \(PostgresQuoting.quoted(literal: $0.value)), true)" }
        return "SELECT pg_backend_pid(), " + calls.joined(separator: ", ")
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
