import Faults
package import OrderLog
package import PostgresClient
import ThreadedIO

/// The sink `postgres`: orders, lines, stock and the ledger, in one transaction a batch.
///
/// The position is a row in the same database, so effect and position are one step. When the answer to it is lost,
/// taking over again reads the row; nothing is assumed.
package final class PostgresSink: Ledger {
    /// How long the server may take with one statement; its own time-out ends it earlier.
    package static let timeout: Duration = .seconds(15)

    let connection: PostgresConnection

    /// - Parameter connection: With the schema in its search path.
    package init(_ connection: PostgresConnection) {
        self.connection = connection
    }

    package var acknowledgesOnApply: Bool { false }

    package func fence(
        _ partition: Partition, under history: History, owner: WorkerName
    ) async throws -> FenceOutcome {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.fence,
                [
                    .integer(Int64(partition.number)), .text(owner.text), .integer(history.epoch.number),
                ], until: .after(Self.timeout))
            guard let row = rows.first else { return .historyChanged }
            let permit = Permit(
                partition: partition, history: history, token: Token(try row.requireInt64(0)), owner: owner)
            return .fenced(permit, try Self.position(row, epoch: 1, seq: 2, entry: 3))
        }
    }

    package func apply(_ batch: Batch, meanwhile: () async -> Void) async throws -> ApplyOutcome {
        let deadline = Deadline.after(Self.timeout)
        let parameters = ApplyStatement.parameters(for: batch)
        try Faults.pass(.beforeBegin)
        try translatingPostgresErrors { () throws(PostgresError) in
            try connection.send(ApplyStatement.plain(for: batch), parameters, keepsPlan: true, until: deadline)
        }
        try Faults.pass(.commitSent)
        await meanwhile()
        let isApplied = try translatingPostgresErrors { () throws(PostgresError) in
            try receive(batch, parameters, until: deadline)
        }
        try Faults.pass(.afterCommit)
        if isApplied { return .applied }
        // Nothing was changed: find out why.
        let row = try await row(of: batch.permit.partition)
        if row.epoch != batch.permit.history.epoch { return .historyChanged }
        if try await countRefusal(of: batch.permit) { return .fenced(by: row.owner) }
        return .positionMoved(to: row.position.seq)
    }

    /// Whether the batch that was sent is applied.
    private func receive(
        _ batch: Batch, _ parameters: [PostgresValue], until deadline: Deadline
    ) throws(PostgresError) -> Bool {
        do throws(PostgresError) {
            return try !connection.receive(until: deadline).isEmpty
        } catch  where error.sqlState == "23505" {
            // An order is there already. The server undid the whole statement, the position's move too.
            return try !connection.query(ApplyStatement.patient(for: batch), parameters, until: deadline).isEmpty
        }
    }

    /// Counts a batch that was refused by its token, for ``LedgerRow``'s readers: `status`, and tests.
    ///
    /// - Returns: false when token and owner are still the permit's: then it was not refused by them.
    private func countRefusal(of permit: Permit) async throws -> Bool {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.countRefusal,
                [.integer(Int64(permit.partition.number)), .integer(permit.token.number), .text(permit.owner.text)],
                until: .after(Self.timeout))
            return !rows.isEmpty
        }
    }

    package func row(of partition: Partition) async throws -> LedgerRow {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.row, [.integer(Int64(partition.number))], until: .after(Self.timeout))
            guard let row = rows.first else {
                throw .malformed(reason: "the table partitions has no row for partition \(partition)")
            }
            return LedgerRow(
                epoch: Epoch(try row.requireInt64(0)), replid: try row.requireString(1),
                position: try Self.position(row, epoch: 0, seq: 2, entry: 3), token: Token(try row.requireInt64(4)),
                owner: try row.requireString(5))
        }
    }

    package func reserve(
        _ partition: Partition, row: LedgerRow, headEpoch: Epoch?, replid: String, owner: WorkerName
    ) async throws -> Epoch? {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.reserve,
                [
                    .integer(Int64(partition.number)), .integer(row.epoch.number), .integer(headEpoch?.number ?? 0),
                    .text(replid), .text(owner.text),
                ], until: .after(Self.timeout))
            return try rows.first.map { row throws(PostgresError) in Epoch(try row.requireInt64(0)) }
        }
    }

    package func changeIDs(in partition: Partition, at seqs: [Seq]) async throws -> [Seq: String?] {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.changeIDs, [.integer(Int64(partition.number)), .integers(seqs.map(\.number))],
                until: .after(Self.timeout))
            var ids: [Seq: String?] = [:]
            for row in rows { ids[Seq(try row.requireInt64(0))] = .some(row.string(1)) }
            return ids
        }
    }

    package func confirm(_ partition: Partition, epoch: Epoch, entry: EntryID?) async throws -> Bool {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.confirm,
                [
                    .integer(Int64(partition.number)), .integer(epoch.number), .text(entry?.description ?? ""),
                ], until: .after(Self.timeout))
            return !rows.isEmpty
        }
    }

    private static func position(
        _ row: PostgresRow, epoch: Int, seq: Int, entry: Int
    ) throws(PostgresError) -> Position {
        Position(
            epoch: Epoch(try row.requireInt64(epoch)), seq: Seq(try row.requireInt64(seq)),
            entry: EntryID(try row.requireString(entry)))
    }

    // MARK: - Statements

    private static let row = "SELECT epoch, replid, seq, entry, token, owner FROM partitions WHERE partition = $1"

    private static let fence = """
        UPDATE partitions SET token = token + 1, owner = $2 WHERE partition = $1 AND epoch = $3
        RETURNING token, epoch, seq, entry
        """

    private static let countRefusal = """
        UPDATE partitions SET refused = refused + 1 WHERE partition = $1 AND (token, owner) <> ($2, $3)
        RETURNING partition
        """

    private static let reserve = """
        UPDATE partitions
        SET epoch = greatest(epoch, $3) + 1, replid = $4, token = token + 1, owner = $5,
            entry = ''
        WHERE partition = $1 AND epoch = $2
        RETURNING epoch
        """

    private static let changeIDs = """
        SELECT seq, id FROM ledger WHERE partition = $1 AND seq = ANY ($2::bigint[])
        UNION ALL
        SELECT seq, id FROM dead_letters WHERE partition = $1 AND seq = ANY ($2::bigint[])
        """

    /// A position that moved since has its entry's ID already.
    private static let confirm = """
        UPDATE partitions SET entry = CASE entry WHEN '' THEN $3 ELSE entry END
        WHERE partition = $1 AND epoch = $2
        RETURNING partition
        """
}
