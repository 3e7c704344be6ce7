package import OrderLog

/// A step from one format of the log to the next: all of them are here, forwards only.
///
/// Postgres is migrated first, in one transaction, then the version in Redis: a crash in between leaves Redis one behind, which
/// workers understand, and the next `onewrite upgrade` goes on there.
package struct Migration: Sendable {
    /// The format that it leads to, from the one below.
    package let format: LogFormat
    /// What it is for, in a line.
    package let title: String
    /// What it does in Postgres, and in Redis, in a line each.
    package let postgresPlan, redisPlan: String
    /// How long it may take, once it has its locks.
    var limit: Duration = .seconds(30)
    /// Statements of PL/pgSQL, which take no lock where there is nothing to do.
    let statements: String

    /// In order.
    package static let all: [Migration] = [
        Migration(
            format: LogFormat(2),
            title: "a head may name the first entry that the log still holds; every schema has all parts",
            postgresPlan:
                "adds what schemas of early builds lack: incidents, resolved dead letters, counts of refusals",
            redisPlan: "changes the version alone: entries, heads and positions stay as they are",
            statements: """
                IF to_regclass('dead_letters_unresolved') IS NULL OR to_regclass('incidents') IS NULL OR NOT EXISTS (
                    SELECT FROM pg_attribute WHERE attrelid = 'partitions'::regclass AND attname = 'refused')
                THEN
                    ALTER TABLE partitions ADD COLUMN IF NOT EXISTS refused bigint NOT NULL DEFAULT 0;
                    ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS resolution text;
                    ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS resolved_at timestamptz;
                    -- Dead letters stay for ever, since they account for their seqs: counting the open ones stays cheap.
                    CREATE INDEX IF NOT EXISTS dead_letters_unresolved ON dead_letters (partition) WHERE resolution IS NULL;
                    -- What went wrong and was settled by a person, or repaired by a command. `seqs` as in 15137-15138,15140.
                    CREATE TABLE IF NOT EXISTS incidents (
                        at timestamptz NOT NULL DEFAULT now(), who text NOT NULL, kind text NOT NULL,
                        partition int, seqs text, what text NOT NULL, reason text NOT NULL
                    );
                END IF;
                """),
        Migration(
            format: .names,
            title: "names are UTF-8: those of shops, orders, changes and SKUs; orders may come back; "
                + "shops may admit orders by their stock",
            postgresPlan:
                "key columns compare bytes (COLLATE \"C\"): indexes of orders, order_lines and stock are built anew, meanwhile nothing is applied; adds order_lines.returned, the status returned, and the table admission",
            redisPlan: "changes the version, and loads the functions: entries, heads and positions stay as they are",
            limit: .seconds(3600),
            statements: """
                IF EXISTS (
                    SELECT FROM pg_attribute AS a JOIN pg_collation AS c ON c.oid = a.attcollation
                    WHERE a.attrelid = 'orders'::regclass AND a.attname = 'id' AND c.collname <> 'C')
                THEN
                    -- Whoever applies a batch begins with `partitions`: behind it nobody holds a lock on the others that waits for us.
                    LOCK TABLE partitions, ledger, orders, order_lines, stock IN ACCESS EXCLUSIVE MODE;
                    ALTER TABLE orders ALTER COLUMN shop TYPE text COLLATE "C", ALTER COLUMN id TYPE text COLLATE "C";
                    ALTER TABLE order_lines ALTER COLUMN shop TYPE text COLLATE "C",
                        ALTER COLUMN order_id TYPE text COLLATE "C", ALTER COLUMN sku TYPE text COLLATE "C";
                    ALTER TABLE stock ALTER COLUMN shop TYPE text COLLATE "C", ALTER COLUMN sku TYPE text COLLATE "C";
                    ALTER TABLE ledger ALTER COLUMN shop TYPE text COLLATE "C", ALTER COLUMN id TYPE text COLLATE "C",
                        ALTER COLUMN order_id TYPE text COLLATE "C";
                END IF;
                IF NOT EXISTS (
                    SELECT FROM pg_attribute WHERE attrelid = 'order_lines'::regclass AND attname = 'returned')
                THEN
                    -- In the order in which a batch takes them.
                    LOCK TABLE partitions, orders, order_lines IN ACCESS EXCLUSIVE MODE;
                    ALTER TABLE order_lines ADD COLUMN returned bigint NOT NULL DEFAULT 0;
                    ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_status_check;
                    ALTER TABLE orders ADD CONSTRAINT orders_status_check
                        CHECK (status IN ('placed', 'cancelled', 'returned'));
                    DECLARE role text; BEGIN
                        FOR role IN SELECT DISTINCT grantee::regrole::text
                            FROM pg_class, aclexplode(relacl) WHERE oid = 'order_lines'::regclass
                            AND privilege_type = 'INSERT' AND grantee <> 0
                        LOOP EXECUTE 'GRANT UPDATE (returned) ON order_lines TO ' || role; END LOOP;
                    END;
                END IF;
                IF to_regclass('admission') IS NULL THEN
                    -- The shops whose orders are admitted only as far as stock covers them.
                    CREATE TABLE admission (
                        shop text COLLATE "C" PRIMARY KEY, partition int NOT NULL, at timestamptz NOT NULL DEFAULT now()
                    );
                    -- Who opens the log reads it: roles that have their rights already keep working.
                    DECLARE role text; BEGIN
                        FOR role IN SELECT DISTINCT grantee::regrole::text
                            FROM pg_class, aclexplode(relacl) WHERE oid = 'partitions'::regclass
                            AND privilege_type = 'SELECT' AND grantee <> 0
                        LOOP EXECUTE 'GRANT SELECT ON admission TO ' || role; END LOOP;
                        FOR role IN SELECT DISTINCT grantee::regrole::text
                            FROM pg_class, aclexplode(relacl) WHERE oid = 'incidents'::regclass
                            AND privilege_type = 'INSERT' AND grantee <> 0
                        LOOP EXECUTE 'GRANT INSERT, DELETE ON admission TO ' || role; END LOOP;
                    END;
                END IF;
                """),
    ]
}
