import Coordination
package import OrderLog
package import PostgresClient
import ThreadedIO

/// What Postgres says of the positions, or why it says nothing.
package enum LedgerLook {
    case notConfigured
    /// The error is for people, and holds no secret.
    case unreachable(String)
    /// It answers, but holds nothing of this log.
    case unusable(version: String, reason: String)
    case rows(version: String, format: LogFormat, [Int: Row])

    /// A partition's row.
    package struct Row {
        package let ledger: LedgerRow
        package let dead: Int
        package let refused: Int
    }

    package func row(_ partition: Int) -> Row? {
        guard case .rows(_, _, let rows) = self else { return nil }
        return rows[partition]
    }

    /// How long the server may take: somebody waits for it.
    package static let timeout: Duration = .seconds(3)

    /// Reads positions and numbers of unresolved dead letters, all of one moment.
    ///
    /// - Parameters:
    ///   - connection: With the schema in its search path.
    ///   - log: The ID of the log in Redis; nil when Redis can't tell.
    /// - Returns: What was found; trouble with the schema is a finding too.
    /// - Throws: ``PostgresError`` when there is no answer.
    package static func read(_ connection: PostgresConnection, log: String?) throws(PostgresError) -> LedgerLook {
        let version = connection.serverVersion
        if let reason = connection.encodingTrouble { return .unusable(version: version, reason: reason) }
        let rows: PostgresRows
        do {
            rows = try connection.query(statement, until: .after(timeout))
        } catch .server(let error) where !error.endsSession && !PostgresError.server(error).isRetriable {
            let reason =
                switch error.sqlState {
                case "42P01": "the schema is not there: onewrite init creates it"
                case "42703": "the schema is an early build's: onewrite upgrade brings in what it lacks"
                default: error.description
                }
            return .unusable(version: version, reason: reason)
        }
        var found: [Int: Row] = [:]
        let format = try rows.first.map { row throws(PostgresError) in LogFormat(Int(try row.requireInt64(10))) }
        do throws(StoreError) {
            try format?.require(in: LogFormat.known, of: "the schema in Postgres", .postgres)
        } catch {
            return .unusable(version: version, reason: error.message)
        }
        for row in rows {
            guard try [nil, row.requireString(0)].contains(log) else {
                return .unusable(version: version, reason: "the schema belongs to another log than the one in Redis")
            }
            let (epoch, seq, token) = (try row.requireInt64(2), try row.requireInt64(4), try row.requireInt64(6))
            guard epoch >= 0, seq >= 0, token >= 0 else { throw .malformed(reason: "a negative number in partitions") }
            let entry = try row.requireString(5)
            found[Int(try row.requireInt64(1))] = Row(
                ledger: LedgerRow(
                    epoch: Epoch(epoch), replid: try row.requireString(3),
                    position: Position(epoch: Epoch(epoch), seq: Seq(seq), entry: EntryID(entry)),
                    token: Token(token), owner: try row.requireString(7)),
                dead: Int(try row.requireInt64(8)), refused: Int(try row.requireInt64(9)))
        }
        return .rows(version: version, format: format ?? LogFormat.known.upperBound, found)
    }

    private static let statement = """
        SELECT m.log, p.partition, p.epoch, p.replid, p.seq, p.entry, p.token, p.owner, coalesce(d.count, 0),
            p.refused, m.version
        FROM meta m CROSS JOIN partitions p
        LEFT JOIN (SELECT partition, count(*) FROM dead_letters WHERE resolution IS NULL GROUP BY partition) d
            USING (partition)
        ORDER BY p.partition
        """
}
