import Coordination
package import OrderLog
package import PostgresClient
import ThreadedIO

/// The tables of the sink postgres.
///
/// Names and columns are the contract; people's own queries read them.
package enum PostgresSchema {
    /// How long creating it may take: it waits for others who do the same.
    static let timeout: Duration = .seconds(30)

    /// Creates schema, tables and rows of a log; one that is there stays as it is, in its own format.
    ///
    /// Safe to repeat, and at once with others: all of it is there, or nothing.
    ///
    /// - Parameters:
    ///   - schema: The schema's name.
    ///   - newLog: What is created, if there is none yet.
    ///   - connection: Outside a transaction, and with the schema in its search path.
    /// - Returns: The log that is there now: with another number of partitions, if it was there before.
    /// - Throws: `PostgresError`; `StoreError` for a log of a format that this process doesn't know.
    package static func create(
        _ schema: String, newLog: LogIdentity, on connection: PostgresConnection
    ) throws -> LogIdentity {
        // Who may only use the schema can still repeat `init`.
        if let existing = try identity(on: connection) { return existing }
        let row = """
            INSERT INTO meta (version, partitions, log)
            SELECT \(newLog.format), \(newLog.partitioning.count), \(PostgresQuoting.quoted(literal: newLog.log))
            WHERE NOT EXISTS (SELECT FROM meta);
            INSERT INTO partitions (partition, epoch, replid, seq, entry, token, owner)
            SELECT p, 0, '', 0, '', 0, '' FROM meta, generate_series(0, meta.partitions - 1) AS p
            ON CONFLICT DO NOTHING
            """
        // All parts are there whatever the format, as in those that the last build of format 1 made.
        let parts = Migration.all.map { block($0.statements) }
        // One script is one transaction by itself: a pooler in statement mode lets no other through.
        try connection.script(
            ([alone(schema), "CREATE SCHEMA IF NOT EXISTS \(PostgresQuoting.quoted(identifier: schema))", tables]
                + parts + [row]).joined(separator: ";\n"), until: .after(timeout))
        guard let identity = try identity(on: connection) else {
            throw PostgresError.malformed(reason: "the row of meta that was just written is missing")
        }
        return identity
    }

    /// Brings the schema from one format to the next, in one transaction; one that is of another format stays as it is.
    ///
    /// - Parameters:
    ///   - migration: The step.
    ///   - schema: The schema's name.
    ///   - connection: Outside a transaction, with the schema in its search path, and with its owner's rights.
    /// - Throws: ``PostgresError``; nothing is changed then, unless the answer was lost.
    package static func apply(
        _ migration: Migration, to schema: String, on connection: PostgresConnection
    ) throws(PostgresError) {
        let step = """
            IF (SELECT version FROM meta) IS DISTINCT FROM \(migration.format.number - 1) THEN RETURN; END IF;
            \(migration.statements)
            UPDATE meta SET version = \(migration.format);
            """
        try connection.script(
            "\(alone(schema, within: migration.limit));\n\(block(step))", until: .after(migration.limit))
    }

    private static func block(_ statements: String) -> String {
        "DO $migration$ BEGIN\n\(statements)\nEND $migration$"
    }

    /// What keeps two from creating the same at once, which IF NOT EXISTS doesn't.
    private static func alone(_ schema: String, within limit: Duration = timeout) -> String {
        // Others may create theirs for longer than a batch may wait.
        """
        SET LOCAL lock_timeout = \(Int(timeout / .milliseconds(1)));
        SET LOCAL statement_timeout = \(Int(limit / .milliseconds(1)));
        SELECT pg_advisory_xact_lock(7239251, hashtext(\(PostgresQuoting.quoted(literal: schema))))
        """
    }

    /// The log that the schema belongs to.
    ///
    /// - Parameters:
    ///   - connection: With the schema in its search path.
    ///   - formats: Those that the caller can do with.
    /// - Returns: nil when `init` never ran.
    /// - Throws: `PostgresError`; `StoreError` with the kind `misconfigured` for a schema of another format.
    package static func identity(
        on connection: PostgresConnection, in formats: ClosedRange<LogFormat> = LogFormat.known
    ) throws -> LogIdentity? {
        let exists = try connection.query(Self.existence, until: .after(timeout)).first
        guard exists?.bool(0) == true else {
            if exists?.bool(1) == true {
                throw StoreError(
                    .postgres, .notPermitted, "Postgres: permission denied for the log's schema (SQLSTATE 42501)")
            }
            return nil
        }
        let rows = try connection.query("SELECT version, partitions, log FROM meta", until: .after(timeout))
        guard let row = rows.first else { return nil }
        let format = LogFormat(Int(try row.requireInt64(0)))
        try format.require(in: formats, of: "the schema in Postgres", .postgres)
        guard let partitioning = Partitioning(count: Int(try row.requireInt64(1))) else {
            throw PostgresError.malformed(
                reason: "the table meta names a number of partitions that is outside the limits")
        }
        return LogIdentity(partitioning: partitioning, log: try row.requireString(2), format: format)
    }

    /// Whether the table is there; and whether the schema is, but may not be used, which hides its tables.
    private static let existence = """
        SELECT to_regclass('meta') IS NOT NULL, EXISTS (
            SELECT FROM pg_namespace
            WHERE current_setting('search_path') = '"' || replace(nspname, '"', '""') || '"'
                AND NOT has_schema_privilege(oid, 'USAGE'))
        """

    /// Whether lines of orders have a place for what came back: from format 3 on.
    package static func hasReturns(on connection: PostgresConnection) throws(PostgresError) -> Bool {
        let rows = try connection.query(
            """
            SELECT FROM pg_attribute
            WHERE attrelid = 'order_lines'::regclass AND attname = 'returned' AND NOT attisdropped
            """, until: .after(timeout))
        return !rows.isEmpty
    }

    /// Whether any partition's position is behind an entry.
    package static func hasApplied(on connection: PostgresConnection) throws(PostgresError) -> Bool {
        let rows = try connection.query("SELECT FROM partitions WHERE seq > 0 LIMIT 1", until: .after(timeout))
        return !rows.isEmpty
    }

    private static let tables = """
        CREATE TABLE IF NOT EXISTS meta (
            version int NOT NULL, partitions int NOT NULL, log text NOT NULL
        );
        -- The sink's position and the log's reserved epoch. Updated in place for every batch.
        -- `refused` counts batches that came with an old token.
        CREATE TABLE IF NOT EXISTS partitions (
            partition int PRIMARY KEY,
            epoch bigint NOT NULL, replid text NOT NULL,
            seq bigint NOT NULL, entry text NOT NULL,
            token bigint NOT NULL, owner text NOT NULL
        ) WITH (fillfactor = 10);
        -- Every applied change, its fields byte for byte: the log's permanent copy.
        CREATE TABLE IF NOT EXISTS ledger (
            partition int NOT NULL, seq bigint NOT NULL, epoch bigint NOT NULL,
            entry text NOT NULL, digest text NOT NULL,
            id text NOT NULL, type text NOT NULL, shop text NOT NULL,
            order_id text, customer text, lines text NOT NULL, attributes text,
            appended_at timestamptz NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (partition, seq)
        );
        CREATE TABLE IF NOT EXISTS orders (
            shop text NOT NULL, id text NOT NULL, customer text NOT NULL,
            status text NOT NULL CHECK (status IN ('placed', 'cancelled')),
            attributes jsonb, placed_at timestamptz NOT NULL, partition int NOT NULL, seq bigint NOT NULL,
            PRIMARY KEY (shop, id)
        );
        CREATE TABLE IF NOT EXISTS order_lines (
            shop text NOT NULL, order_id text NOT NULL, sku text NOT NULL, quantity bigint NOT NULL,
            PRIMARY KEY (shop, order_id, sku)
        );
        CREATE TABLE IF NOT EXISTS stock (
            shop text NOT NULL, sku text NOT NULL, on_hand bigint NOT NULL,
            PRIMARY KEY (shop, sku)
        ) WITH (fillfactor = 50);
        -- Entries set aside. Text columns are for reading; `fields` has all names and values by turns, byte for byte, each
        -- behind its length in four bytes. `seq` is null for an entry that was added by hand.
        CREATE TABLE IF NOT EXISTS dead_letters (
            partition int NOT NULL, epoch bigint NOT NULL, entry text NOT NULL, seq bigint,
            id text, type text, shop text, order_id text, customer text, lines text, attributes text,
            fields bytea NOT NULL, reason text NOT NULL, error text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
            resolution text, resolved_at timestamptz
        );
        CREATE UNIQUE INDEX IF NOT EXISTS dead_letters_seq ON dead_letters (partition, seq) WHERE seq IS NOT NULL;
        CREATE UNIQUE INDEX IF NOT EXISTS dead_letters_entry ON dead_letters (partition, epoch, entry) WHERE seq IS NULL
        """
}
