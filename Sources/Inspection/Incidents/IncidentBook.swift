package import OrderLog
package import PostgresClient
import Sinks
import ThreadedIO

/// The table `incidents` in Postgres.
package struct IncidentBook {
    package let postgres: PostgresConnection

    package init(postgres: PostgresConnection) { self.postgres = postgres }

    private static let timeout: Duration = .seconds(5)

    /// All incidents, or a partition's, the oldest first; none when an earlier build made the schema.
    package func incidents(in partition: Partition? = nil) throws(PostgresError) -> [Incident] {
        guard try exists() else { return [] }
        let rows = try postgres.query(
            """
            SELECT to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), who, kind, partition, seqs, what, reason FROM incidents
            WHERE $1::int IS NULL OR partition = $1::int ORDER BY at, partition
            """, [partition.map { .integer(Int64($0.number)) } ?? .null], until: .after(Self.timeout))
        return try rows.map { row throws(PostgresError) in
            Incident(
                at: try row.requireString(0), who: try row.requireString(1), kind: try row.requireString(2),
                partition: row.int64(3).map { Int($0) }, seqs: row.string(4).flatMap { SeqRanges($0) },
                what: try row.requireString(5), reason: try row.requireString(6))
        }
    }

    /// Whether the table is there: an earlier build's schema has none.
    package func exists() throws(PostgresError) -> Bool {
        try postgres.query("SELECT to_regclass('incidents') IS NOT NULL", until: .after(Self.timeout)).first?.bool(0)
            == true
    }

    /// Records an incident, once: the same again changes nothing.
    package func record(_ incident: Incident) throws(PostgresError) {
        try postgres.query(
            """
            INSERT INTO incidents (who, kind, partition, seqs, what, reason)
            SELECT $1, $2, $3::int, $4, $5, $6 WHERE NOT EXISTS (
                SELECT FROM incidents WHERE kind = $2 AND partition = $3::int AND seqs = $4 AND what = $5 AND reason = $6)
            """,
            [
                .text(incident.who), .text(incident.kind), incident.partition.map { .integer(Int64($0)) } ?? .null,
                incident.seqs.map { .text($0.description) } ?? .null, .text(incident.what), .text(incident.reason),
            ], until: .after(Self.timeout))
    }

    /// How many of these seqs Postgres accounts for.
    package func accounts(for seqs: SeqRanges, in partition: Partition) throws(PostgresError) -> Int64 {
        let rows = try postgres.query(
            """
            SELECT count(*) FROM (
                SELECT seq FROM ledger WHERE partition = $1::int AND seq BETWEEN $2::bigint AND $3::bigint
                UNION SELECT seq FROM dead_letters WHERE partition = $1::int AND seq BETWEEN $2::bigint AND $3::bigint
            ) AS known JOIN unnest($4::bigint[], $5::bigint[]) AS range (first, last) ON seq BETWEEN first AND last
            """,
            [
                .integer(Int64(partition.number)), .integer(seqs.first), .integer(seqs.last),
                .integers(seqs.ranges.map(\.lowerBound)), .integers(seqs.ranges.map(\.upperBound)),
            ], until: .after(Self.timeout))
        return try rows.first?.requireInt64(0) ?? 0
    }
}
