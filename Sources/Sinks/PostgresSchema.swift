package import OrderLog
package import PostgresClient
import ThreadedIO

/// The tables of the sink postgres.
///
/// Names and columns are the contract; people's own queries read them.
package enum PostgresSchema {
    /// How long creating it may take: it waits for others who do the same.
    static let timeout: Duration = .seconds(30)

    /// Creates schema, tables and rows where they are missing.
    ///
    /// Safe to repeat, and at once with others: all of it is there, or nothing.
    ///
    /// - Parameters:
    ///   - schema: The schema's name.
    ///   - partitioning: For a new log.
    ///   - newLog: The log's ID, if there is none yet.
    ///   - connection: Outside a transaction, and with the schema in its search path.
    /// - Returns: The log that is there now: with another number of partitions, if it was there before.
    /// - Throws: ``PostgresError``.
    package static func create(
        _ schema: String, partitioning: Partitioning, newLog: String, on connection: PostgresConnection
    ) throws(PostgresError) -> LogIdentity {
        if let existing = try identity(on: connection) {
            // Who may only use the schema can still repeat `init`.
            if try !isUpToDate(on: connection) {
                try connection.script("\(alone(schema));\n\(additions)", until: .after(timeout))
            }
            return existing
        }
        let row = """
            INSERT INTO meta (version, partitions, log)
            SELECT \(LogIdentity.version), \(partitioning.count), \(PostgresQuoting.quoted(literal: newLog))
            WHERE NOT EXISTS (SELECT FROM meta);
            INSERT INTO partitions (partition, epoch, replid, seq, entry, token, owner)
            SELECT p, 0, '', 0, '', 0, '' FROM meta, generate_series(0, meta.partitions - 1) AS p
            ON CONFLICT DO NOTHING
            """
        // One script is one transaction by itself: a pooler in statement mode lets no other through.
        try connection.script(
            [alone(schema), "CREATE SCHEMA IF NOT EXISTS \(PostgresQuoting.quoted(identifier: schema))", tables, row]
                .joined(separator: ";\n"), until: .after(timeout))
        guard let identity = try identity(on: connection) else {
            throw .malformed(reason: "the row of meta that was just written is missing")
        }
        return identity
    }

    /// What keeps two from creating the same at once, which IF NOT EXISTS doesn't.
    private static func alone(_ schema: String) -> String {
        // Others may create theirs for longer than a batch may wait.
        let limit = Int(timeout / .milliseconds(1))
        return """
            SET LOCAL lock_timeout = \(limit);
            SET LOCAL statement_timeout = \(limit);
            SELECT pg_advisory_xact_lock(7239251, hashtext(\(PostgresQuoting.quoted(literal: schema))))
            """
    }

    /// Whether a schema has all that this build's has.
    private static func isUpToDate(on connection: PostgresConnection) throws(PostgresError) -> Bool {
        let found = try connection.query(
            """
            SELECT to_regclass('dead_letters_unresolved') IS NOT NULL AND to_regclass('incidents') IS NOT NULL AND EXISTS (
                SELECT FROM pg_attribute WHERE attrelid = 'partitions'::regclass AND attname = 'refused')
            """, until: .after(timeout))
        return found.first?.bool(0) == true
    }

    /// The log that the schema belongs to.
    ///
    /// - Parameter connection: With the schema in its search path.
    /// - Returns: nil when `init` never ran.
    /// - Throws: ``PostgresError``; ``PostgresError/malformed(reason:)`` when another version of Onewrite made it.
    package static func identity(on connection: PostgresConnection) throws(PostgresError) -> LogIdentity? {
        let exists = try connection.query("SELECT to_regclass('meta') IS NOT NULL", until: .after(timeout))
        guard exists.first?.bool(0) == true else { return nil }
        let rows = try connection.query("SELECT version, partitions, log FROM meta", until: .after(timeout))
        guard let row = rows.first else { return nil }
        let version = try row.requireInt64(0)
        guard version == LogIdentity.version else {
            throw .malformed(
                reason: "the schema is of version \(version), and this program knows version \(LogIdentity.version)")
        }
        guard let partitioning = Partitioning(count: Int(try row.requireInt64(1))) else {
            throw .malformed(reason: "the table meta names a number of partitions that is outside the limits")
        }
        return LogIdentity(partitioning: partitioning, log: try row.requireString(2))
    }

    /// Whether any partition's position is behind an entry.
    static func hasApplied(on connection: PostgresConnection) throws(PostgresError) -> Bool {
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
        CREATE UNIQUE INDEX IF NOT EXISTS dead_letters_entry ON dead_letters (partition, epoch, entry) WHERE seq IS NULL;

        """ + additions

    /// What earlier builds' schemas lack.
    ///
    /// Dead letters stay for ever, since they account for their seqs; the index keeps counting the open ones cheap.
    private static let additions = """
        ALTER TABLE partitions ADD COLUMN IF NOT EXISTS refused bigint NOT NULL DEFAULT 0;
        ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS resolution text;
        ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS resolved_at timestamptz;
        CREATE INDEX IF NOT EXISTS dead_letters_unresolved ON dead_letters (partition) WHERE resolution IS NULL;
        -- What went wrong and was settled by a person, or repaired by a command. `seqs` as in 15137-15138,15140.
        CREATE TABLE IF NOT EXISTS incidents (
            at timestamptz NOT NULL DEFAULT now(), who text NOT NULL, kind text NOT NULL,
            partition int, seqs text, what text NOT NULL, reason text NOT NULL
        );
        """
}
