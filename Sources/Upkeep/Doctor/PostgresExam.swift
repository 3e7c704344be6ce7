import Foundation
import Inspection
import OrderLog
import PostgresClient
import ThreadedIO

/// What is to be said of the Postgres server, its settings and this role's rights.
struct PostgresExam {
    private static let slowMilliseconds = 20.0
    private static let skewSeconds = 2.0

    let postgres: PostgresConnection
    /// The way there.
    let way: WayExam
    private(set) var findings: [Finding]
    private(set) var milliseconds = 0.0
    var server: String { "postgres \(postgres.serverVersion)" }

    init(_ postgres: PostgresConnection) {
        self.postgres = postgres
        way = WayExam(to: postgres)
        findings = way.findings
    }

    private var deadline: Deadline { .after(.seconds(10)) }

    private mutating func note(_ code: String, _ what: String, fix: String? = nil) {
        findings.append(Check.of(code).finding(what, fix: fix))
    }

    mutating func run() throws(PostgresError) {
        if let standby = try postgres.standbyTrouble(until: deadline) { note("standby", standby) }
        if let trouble = postgres.encodingTrouble { note("encoding", trouble) }
        try lookAtClock()
        try lookAtSettings()
        try lookAtRights()
    }

    private mutating func lookAtClock() throws(PostgresError) {
        var fastest = Duration.seconds(60)
        var skew = 0.0
        for _ in 0..<5 {
            let begin = ContinuousClock.now
            let row = try postgres.query("SELECT extract(epoch FROM clock_timestamp())::float8::text", until: deadline)
                .first
            let took = begin.duration(to: .now)
            guard took < fastest, let now = row?.string(0).flatMap({ Double($0) }) else { continue }
            (fastest, skew) = (took, now - Date().timeIntervalSince1970)
        }
        milliseconds = fastest / .milliseconds(1)
        if milliseconds > Self.slowMilliseconds {
            note("postgres-latency", "Postgres takes \(Int(milliseconds)) ms to answer")
        }
        if abs(skew) > Self.skewSeconds {
            note("clock", "Postgres's clock is \(Int(abs(skew))) s \(skew < 0 ? "behind" : "ahead of") this machine's")
        }
    }

    private mutating func lookAtSettings() throws(PostgresError) {
        let row = try postgres.query(
            """
            SELECT current_setting('fsync'), current_setting('full_page_writes'),
                current_setting('max_connections')::int8, (SELECT count(*) FROM pg_stat_activity)
            """, until: deadline
        ).first
        guard let row else { return }
        if row.string(0) == "off" { note("fsync", "fsync is off") }
        if row.string(1) == "off" { note("full-page-writes", "full_page_writes is off") }
        if let most = row.int64(2), let there = row.int64(3), there * 5 >= most * 4 {
            note("connections", "\(there) of \(most) connections are taken")
        }
        // Since 15.
        guard let version = Int(postgres.serverVersion.prefix { $0.isNumber }), version >= 15 else { return }
        let collation = try postgres.query(
            """
            SELECT datcollversion, pg_database_collation_actual_version(oid) FROM pg_database
            WHERE datname = current_database() AND datcollversion <> pg_database_collation_actual_version(oid)
            """, until: deadline
        ).first
        if let collation {
            note(
                "collation-version",
                "indexes were built with version \(collation.string(0) ?? "?") of the collation, and \(collation.string(1) ?? "?") is installed"
            )
        }
    }

    /// Of a schema that is there.
    private mutating func lookAtRights() throws(PostgresError) {
        var missing: [String] = []
        var permitted: [(by: String, isPermitted: Bool)] = []
        for row in try postgres.query(Self.rights, until: deadline) {
            let may = row.bool(2) == true
            permitted.append((row.string(1) ?? "", may))
            if !may, let what = row.string(0) { missing.append(what) }
        }
        if !missing.isEmpty, !RoleFit.fits(permitted) {
            note("postgres-rights", "this role may not: \(missing.joined(separator: ", "))")
        }
    }

    /// What is done, who does it (submit, workers of postgres and of groups that follow the ledger, whoever looks), and whether
    /// this role may; of some columns is enough.
    private static let rights = """
        SELECT right_name || ' ' || table_name, users, has_any_column_privilege(to_regclass(table_name), right_name)
        FROM (VALUES ('meta', 'SELECT', 'spgr'), ('partitions', 'SELECT', 'spgr'), ('partitions', 'UPDATE', 'p'),
            ('ledger', 'SELECT', 'spgr'), ('ledger', 'INSERT', 'p'), ('ledger', 'UPDATE', 'p'),
            ('orders', 'SELECT', 'spr'), ('orders', 'INSERT', 'p'), ('orders', 'UPDATE', 'p'),
            ('order_lines', 'SELECT', 'spr'), ('order_lines', 'INSERT', 'p'), ('stock', 'SELECT', 'pr'),
            ('stock', 'INSERT', 'p'), ('stock', 'UPDATE', 'p'), ('dead_letters', 'SELECT', 'spgr'),
            ('dead_letters', 'INSERT', 'p'), ('dead_letters', 'UPDATE', 'p')
        ) AS needed (table_name, right_name, users)
        WHERE to_regclass(table_name) IS NOT NULL
        """
}
