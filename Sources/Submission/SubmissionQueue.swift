package import ChangeInput
package import OrderLog
package import RedisLog

/// The changes of a submission that have no outcome yet: which are sent when, and in which order receipts are given.
///
/// Decides only; whoever holds it does the sending. A partition has one call under way at a time, so that a retry can't
/// overtake, and a shop's order is the input's. Receipts come in the input's order, so it holds all that came behind the
/// oldest change without an outcome: ``isFull`` says when to read no further.
package struct SubmissionQueue {
    /// How far a partition's call is.
    package enum CallState {
        /// To be sent, for the first time or again.
        case ready
        /// On the connection.
        case sent
        /// Refused for now: to be sent again at this moment.
        case waiting(until: ContinuousClock.Instant)
        /// The server has forgotten the script, and ran nothing.
        case scriptMissing
        /// In the log, and not yet known to be as durable as wanted.
        case appended
    }

    /// A partition's changes that are under way, or wait for their turn: the numbers of rows.
    struct Lane {
        var call: [Int] = []
        /// What is sent, and sent again.
        fileprivate var text = AppendCall()
        var state = CallState.ready
        /// Whether the call was sent once without an answer: it may be in the log.
        var isDoubtful = false
        /// The answer of a call that is ``CallState/appended``: a result for each change.
        var answer: (epoch: Epoch, results: [Appender.Result])?
        /// The next call's changes, written down as they come: while the server works on the call.
        var queued: [Int] = []
        fileprivate var queuedText = AppendCall()

        fileprivate mutating func makeCall() {
            precondition(call.isEmpty && !queued.isEmpty, "a partition has one call at a time")
            (call, queued) = (queued, [])
            (text, queuedText) = (queuedText, AppendCall())
            state = .ready
        }
    }

    private struct Row {
        let line: Int?
        let id: String?
        let shop: String?
        var input: [UInt8]?
        let bytes: Int
        /// Kept only where the ledger is asked for it.
        var change: Change?
        var outcome: RowReceipt.Outcome?
        /// Whether its outcome was known before it was sent, from Postgres.
        var isFromLedger = false
        var isGiven = false
    }

    private let partitioning: Partitioning
    private let format: LogFormat
    private let keepsInput: Bool
    private let inOrder: Bool
    private let durability: Durability
    private(set) var lanes: [Lane]
    /// The rows without a receipt; `given` of them at the front have one by now.
    private var rows: [Row] = []
    private var given = 0
    /// The position that the first of `rows` has.
    private var base = 0
    private var bytes = 0
    private var calls: Set<Partition> = []
    /// Without the input's order: positions that have an outcome, and no receipt yet.
    private var settled: [Int] = []
    private var settledGiven = 0
    /// Rows behind `given` that have their receipt.
    private var givenAhead = 0

    /// - Parameters:
    ///   - partitioning: The log's.
    ///   - format: The log's: a change with names that it doesn't take is rejected.
    ///   - keepsInput: Whether receipts carry the rows' text.
    ///   - inOrder: Whether receipts come in the input's order, or as soon as there is an outcome.
    ///   - durability: What a call's changes have to be before it is confirmed.
    package init(
        _ partitioning: Partitioning, format: LogFormat = LogFormat.supported.upperBound, keepsInput: Bool,
        inOrder: Bool = true, durability: Durability
    ) {
        self.format = format
        self.inOrder = inOrder
        self.partitioning = partitioning
        self.keepsInput = keepsInput
        self.durability = durability
        lanes = Array(repeating: Lane(), count: partitioning.count)
    }

    /// How many rows were added.
    package var nextNumber: Int { base + rows.count }
    package var isEmpty: Bool { given == rows.count }
    package var hasCalls: Bool { !calls.isEmpty }

    /// Whether nothing should be read before an outcome is known.
    package var isFull: Bool {
        rows.count - given - givenAhead >= Limits.submitChangesMax || bytes >= Limits.submitBytesMax
    }

    /// Adds a row of the input.
    ///
    /// - Parameter row: A valid change, or one that is rejected.
    /// - Returns: The partition that has a whole call's changes waiting now.
    package mutating func add(_ row: InputRow) -> Partition? {
        let kept = keepsInput ? row.text : nil
        switch row.result {
        case .failure(let error):
            append(
                Row(
                    line: row.line, id: row.id, shop: nil, input: kept, bytes: row.text.count, change: nil,
                    outcome: .rejected(error)))
            return nil
        case .success(let change):
            return add(change, line: row.line, input: kept, bytes: row.text.count)
        }
    }

    /// Adds a row whose outcome is known, since Postgres has it.
    package mutating func add(_ row: InputRow, known outcome: RowReceipt.Outcome) {
        let shop: String? = if case .success(let change) = row.result { change.shop } else { nil }
        append(
            Row(
                line: row.line, id: row.id, shop: shop, input: keepsInput ? row.text : nil, bytes: row.text.count,
                outcome: outcome, isFromLedger: true))
    }

    /// Adds a change.
    package mutating func add(_ change: Change, line: Int?, input: [UInt8]?, bytes: Int) -> Partition? {
        if change.format > format {
            let error = FieldError(
                "names",
                "a log of format \(format) takes A-Z a-z 0-9 . _ : / - in names, and in SKUs, of up to 64, no : and /. "
                    + "For others bring it to a newer one: onewrite upgrade; then start this again")
            append(
                Row(
                    line: line, id: change.id, shop: change.shop, input: input, bytes: bytes, change: nil,
                    outcome: .rejected(RowError(line: line ?? 1, error: error))))
            return nil
        }
        let partition = partitioning.partition(ofShop: change.shop)
        lanes[partition.number].queued.append(base + rows.count)
        lanes[partition.number].queuedText.append(change)
        append(
            Row(
                line: line, id: change.id, shop: change.shop, input: input, bytes: bytes,
                change: durability == .applied ? change : nil, outcome: nil))
        return lanes[partition.number].queued.count == Limits.appendChangesMax ? partition : nil
    }

    private mutating func append(_ row: Row) {
        bytes += row.bytes
        if !inOrder, row.outcome != nil { settled.append(nextNumber) }
        rows.append(row)
    }

    // MARK: - Calls

    package func hasCall(_ partition: Partition) -> Bool { calls.contains(partition) }

    /// Partitions without a call that have changes waiting.
    package var partitionsWaiting: [Partition] {
        partitioning.all.filter { lanes[$0.number].call.isEmpty && !lanes[$0.number].queued.isEmpty }
    }

    /// Makes a call of a partition's next changes; it has none.
    package mutating func makeCall(_ partition: Partition) {
        lanes[partition.number].makeCall()
        calls.insert(partition)
    }

    /// The partitions whose calls are in a state, in no order: between partitions none is promised.
    package func calls(where isWanted: (CallState) -> Bool) -> [Partition] {
        calls.filter { isWanted(lanes[$0.number].state) }
    }

    /// A partition's call: the same each time that it is sent.
    package func call(_ partition: Partition) -> AppendCall { lanes[partition.number].text }

    package func state(_ partition: Partition) -> CallState { lanes[partition.number].state }

    package mutating func setState(_ state: CallState, of partition: Partition) {
        lanes[partition.number].state = state
    }

    /// The connection broke: whatever was on it may have been done, and what it carried can't be confirmed on another.
    package mutating func loseConnection() {
        for partition in calls {
            switch lanes[partition.number].state {
            case .sent, .appended: sendAgain(partition, in: .ready)
            case .ready, .waiting, .scriptMissing: break
            }
        }
    }

    /// A call that may be in the log, or not any more, is to be sent again.
    package mutating func sendAgain(_ partition: Partition, in state: CallState) {
        setState(state, of: partition)
        lanes[partition.number].isDoubtful = true
        lanes[partition.number].answer = nil
    }

    /// A call is in the log.
    ///
    /// - Parameters:
    ///   - partition: Whose.
    ///   - epoch: The log's.
    ///   - results: As many as the call has changes.
    package mutating func hold(_ partition: Partition, epoch: Epoch, _ results: [Appender.Result]) {
        setState(.appended, of: partition)
        lanes[partition.number].answer = (epoch, results)
    }

    /// The calls that are ``CallState/appended``, each with its changes that are in the log.
    var appended: [LedgerConfirmation.Call] {
        calls.compactMap { partition in
            guard let answer = lanes[partition.number].answer else { return nil }
            let places = zip(lanes[partition.number].call, answer.results).compactMap { position, result in
                result.isInLog ? rows[position - base].change.map { (seq: result.seq, change: $0) } : nil
            }
            return LedgerConfirmation.Call(partition: partition, epoch: answer.epoch, places: places)
        }
    }

    /// A call that is ``CallState/appended`` has its outcome: it is as durable as wanted.
    package mutating func confirm(_ partition: Partition) {
        guard let (epoch, results) = lanes[partition.number].answer else { return }
        for (position, result) in zip(finish(partition), results) {
            settle(position, .answered(result, in: partition, epoch: epoch))
        }
    }

    /// Gives up all that has no outcome.
    ///
    /// - Parameter reason: Why.
    package mutating func abandon(_ reason: String) {
        for partition in calls {
            var isDoubtful = lanes[partition.number].isDoubtful
            if case .sent = lanes[partition.number].state { isDoubtful = true }
            let answer = lanes[partition.number].answer
            for (index, position) in finish(partition).enumerated() {
                let outcome: RowReceipt.Outcome
                if let (epoch, results) = answer {
                    // What isn't in the log needs no durability.
                    outcome =
                        results[index].isInLog
                        ? .unknown("appended, but \(reason)") : .answered(results[index], in: partition, epoch: epoch)
                } else {
                    outcome = isDoubtful ? .unknown("no answer: \(reason)") : .unsent(reason)
                }
                settle(position, outcome)
            }
        }
        for index in lanes.indices {
            for position in lanes[index].queued { settle(position, .unsent(reason)) }
            lanes[index].queued = []
        }
    }

    private mutating func finish(_ partition: Partition) -> [Int] {
        defer { lanes[partition.number].call = [] }
        lanes[partition.number].text = AppendCall()
        lanes[partition.number].isDoubtful = false
        lanes[partition.number].answer = nil
        calls.remove(partition)
        return lanes[partition.number].call
    }

    // MARK: - Receipts

    private mutating func settle(_ position: Int, _ outcome: RowReceipt.Outcome) {
        rows[position - base].outcome = outcome
        if !inOrder { settled.append(position) }
    }

    /// The next receipt, in the input's order if that is wanted; nil while no outcome is known.
    package mutating func nextReceipt() -> RowReceipt? {
        let index: Int
        if inOrder {
            index = given
        } else {
            guard settledGiven < settled.count else { return nil }
            index = settled[settledGiven] - base
            settledGiven += 1
            if settledGiven == settled.count { (settled, settledGiven) = ([], 0) }
        }
        guard index < rows.count, let outcome = rows[index].outcome else { return nil }
        let row = rows[index]
        let number = base + index
        rows[index].change = nil
        rows[index].input = nil
        rows[index].isGiven = true
        givenAhead += 1
        while given < rows.count, rows[given].isGiven { (given, givenAhead) = (given + 1, givenAhead - 1) }
        bytes -= row.bytes
        // Now and then, so that each row is moved at most twice.
        if given >= 1024, given * 2 >= rows.count {
            rows.removeFirst(given)
            base += given
            given = 0
        }
        return RowReceipt(
            line: row.line, id: row.id, shop: row.shop, input: row.input, outcome: outcome,
            durability: durability == .server ? nil : row.isFromLedger ? .applied : durability, number: number)
    }
}

extension SubmissionQueue.CallState {
    func isDue(at now: ContinuousClock.Instant) -> Bool {
        switch self {
        case .ready: true
        case .waiting(let until): now >= until
        case .sent, .scriptMissing, .appended: false
        }
    }

    var isAppended: Bool {
        if case .appended = self { true } else { false }
    }

    var isScriptMissing: Bool {
        if case .scriptMissing = self { true } else { false }
    }

    var dueAt: ContinuousClock.Instant? {
        if case .waiting(let until) = self { until } else { nil }
    }
}
