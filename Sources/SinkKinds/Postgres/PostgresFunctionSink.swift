import Faults
import OrderLog
import PostgresClient
import Sinks
import ThreadedIO

/// Calls a function in another Postgres with each batch, in one statement with the position: one transaction.
final class PostgresFunctionSink: Sink {
    private let connection: PostgresConnection
    private let kind: PostgresKind
    private let identity: LogIdentity
    private let sql: SQL

    init(_ connection: PostgresConnection, _ kind: PostgresKind, _ identity: LogIdentity) {
        self.connection = connection
        self.kind = kind
        self.identity = identity
        sql = SQL(kind)
    }

    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome {
        let rows = try query(sql.fence, names(partition) + [.integer(history.epoch.number), .text(owner.text)])
        guard let row = rows.first else { return .historyChanged }
        let permit = Permit(
            partition: partition, history: history, token: Token(try row.requireInt64(0)), owner: owner)
        let position = Position(
            epoch: history.epoch, seq: Seq(try row.requireInt64(1)), entry: EntryID(try row.requireString(2)))
        return .fenced(permit, position)
    }

    func apply(_ batch: Batch) async throws -> ApplyOutcome {
        try Faults.pass(.beforeBegin)
        do throws(PostgresError) {
            if try move(over: batch) { return .applied }
        } catch {
            guard let state = error.sqlState, kind.quarantined.contains(state) else { throw translated(error) }
            guard let halves = batch.halves else {
                guard let only = batch.applied.first else { throw translated(error) }
                return try await refuse(only, of: batch, "\(error)")
            }
            let outcome = try await apply(halves.0)
            return outcome == .applied ? try await apply(halves.1) : outcome
        }
        return try reason(batch)
    }

    /// Applies what comes before a change that was refused, and hands the refusal on.
    private func refuse(_ only: Batch.Applied, of batch: Batch, _ reason: String) async throws -> ApplyOutcome {
        if let before = batch.part(before: only.place.seq) {
            let outcome = try await apply(before)
            guard outcome == .applied else { return outcome }
        }
        throw RefusedChange(seq: only.place.seq, reason: reason)
    }

    /// Calls the function and moves the position; false when the row says something else, and nothing was changed.
    private func move(over batch: Batch) throws(PostgresError) -> Bool {
        let permit = batch.permit
        var parameters = names(permit.partition)
        parameters += [
            .integer(permit.history.epoch.number), .integer(permit.token.number), .text(permit.owner.text),
            .integer(batch.first.number - 1), .integer(batch.last.number),
            .text(batch.lastEntry?.description ?? ""), .integer(Int64(batch.applied.count)),
        ]
        let isCalling = !batch.applied.isEmpty
        if isCalling { parameters.append(.text(ChangeJSON.array(batch))) }
        let deadline = Deadline.after(PostgresSink.timeout)
        try connection.send(isCalling ? sql.apply : sql.pass, parameters, keepsPlan: true, until: deadline)
        return try !connection.receive(until: deadline).isEmpty
    }

    /// Why the row didn't let a batch in; one that was refused by its token is counted.
    private func reason(_ batch: Batch) throws -> ApplyOutcome {
        let permit = batch.permit
        let rows = try query(
            sql.refusal,
            names(permit.partition) + [.integer(permit.token.number), .text(permit.owner.text)])
        guard let row = rows.first else {
            throw StoreError(
                .own, .refused, "\(kind.group): \(kind.positions.text) lost the row of partition \(permit.partition)")
        }
        if try row.requireInt64(0) != permit.history.epoch.number { return .historyChanged }
        if try row.requireBool(3) { return .fenced(by: try row.requireString(2)) }
        return .positionMoved(to: Seq(max(0, try row.requireInt64(1))))
    }

    private func names(_ partition: Partition) -> [PostgresValue] {
        [.text(identity.log), .text(kind.group.name), .integer(Int64(partition.number))]
    }

    private func query(_ sql: String, _ parameters: [PostgresValue]) throws -> PostgresRows {
        do {
            return try connection.query(sql, parameters, until: .after(PostgresSink.timeout))
        } catch {
            throw translated(error)
        }
    }

    private func translated(_ error: PostgresError) -> StoreError { StoreError(error, at: "\(kind.group)'s database") }

    // MARK: - Statements

    private struct SQL {
        let fence: String
        let apply: String
        let pass: String
        let refusal: String

        init(_ kind: PostgresKind) {
            let table = kind.positions.sql
            let here = "log = $1 AND sink = $2 AND partition = $3"
            fence = """
                INSERT INTO \(table) AS known (log, sink, partition, epoch, owner, token, seq, entry)
                VALUES ($1, $2, $3, $4, $5, 1, 0, '')
                ON CONFLICT (log, sink, partition) DO UPDATE
                SET epoch = excluded.epoch, owner = excluded.owner, token = known.token + 1
                WHERE known.epoch <= excluded.epoch
                RETURNING token, seq, entry
                """
            // The row first: it takes the lock. No function is called where it says no.
            let moving = """
                UPDATE \(table) SET seq = $8, entry = $9, applied = applied + $10, at = now()
                WHERE \(here) AND epoch = $4 AND token = $5 AND owner = $6 AND seq = $7
                RETURNING partition
                """
            pass = moving
            let call =
                kind.isCalledForEach
                ? """
                SELECT \(kind.function.sql)(change.value) FROM moved, (
                    SELECT value FROM jsonb_array_elements($11::jsonb) WITH ORDINALITY AS item (value, number)
                    ORDER BY number
                ) AS change
                """ : "SELECT \(kind.function.sql)($11::jsonb) FROM moved"
            apply = "WITH moved AS (\(moving)) \(call)"
            refusal = """
                UPDATE \(table) SET refused = refused + CASE WHEN (token, owner) <> ($4, $5) THEN 1 ELSE 0 END
                WHERE \(here) RETURNING epoch, seq, owner, (token, owner) <> ($4, $5)
                """
        }
    }
}
