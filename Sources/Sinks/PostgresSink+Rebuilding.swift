package import Foundation
package import OrderLog
import PostgresClient
import ThreadedIO

/// What rebuilding asks of the ledger.
extension PostgresSink {
    /// The last entry that was appended before a moment.
    ///
    /// - Parameters:
    ///   - partition: Where.
    ///   - date: The moment.
    /// - Returns: Its seq; ``Seq/none`` when there is none.
    /// - Throws: ``StoreError``.
    package func last(in partition: Partition, before date: Date) throws -> Seq {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                """
                SELECT seq FROM ledger WHERE partition = $1 AND appended_at < to_timestamp($2::float8)
                ORDER BY seq DESC LIMIT 1
                """,
                [.integer(Int64(partition.number)), .text(String(date.timeIntervalSince1970))],
                until: .after(Self.timeout))
            return Seq(try rows.first?.requireInt64(0) ?? 0)
        }
    }
}
