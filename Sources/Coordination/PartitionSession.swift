import Faults
package import OrderLog

/// One worker's work on one partition, from taking it over until anything goes wrong.
///
/// A session decides by seq alone, applies in log order, and acknowledges after the effect is in the sink. It never
/// mends itself: on any error or doubt it ends, and the partition is taken over again.
package final class PartitionSession {
    /// What came of taking over.
    package enum Takeover: Sendable {
        case serving(Progress)
        /// Not now: the log is closed, missing or elsewhere.
        case waiting(String)
    }

    /// What was done, for people.
    package struct Progress: Sendable, Equatable {
        package var reclaimed = 0
        package var applied = 0
        package var duplicates = 0
        package var quarantined = 0
        /// Entries that the log had lost, put back from the ledger when it was opened.
        package var healed = 0
        /// Whether the log holds more than was read: read again at once.
        package var isBehind = false

        package init() {}
    }

    private struct Serving {
        let permit: Permit
        var position: Position
        /// The head when it was last read.
        var head: Place
        /// The position at which the last look found unread entries.
        var behindAt: Seq?
        /// Looks that found everything applied.
        var idleLooks = 0
    }

    /// Idle looks between two times that pending entries are reclaimed: some ten seconds.
    private static let looksPerReclaim = 25

    package let partition: Partition
    private let ports: SessionPorts
    private let lease: Lease
    private var serving: Serving?

    package init(_ partition: Partition, _ ports: SessionPorts, lease: Lease) {
        self.partition = partition
        self.ports = ports
        self.lease = lease
    }

    /// Takes the partition over: check, fence, reclaim.
    ///
    /// New entries may be read once it serves.
    ///
    /// - Returns: ``Takeover/serving(_:)`` with what the reclaimed entries came to, or why not yet.
    /// - Throws: ``StoreError`` or ``SessionStop``: nothing is lost, take over again.
    package func takeOver() async throws -> Takeover {
        serving = nil
        try Faults.pass(.afterLease)
        let row = try await ports.ledger?.row(of: partition)
        var look = try await ports.log.look(at: partition)
        // The address may lead to the master by now, on a new connection.
        guard look.isMaster else { throw StoreError(.redis, .replica, LogOpener.replica) }
        var state = LogState(look, row: row, identity: ports.identity)
        var healed = 0
        if !state.isOpen || row?.isConfirmed == false, let ledger = ports.ledger {
            let opener = LogOpener(log: ports.log, ledger: ledger, identity: ports.identity, owner: ports.owner)
            switch try await opener.open(partition) {
            case .again: return .waiting("the log is being opened")
            case .waiting(let reason): return .waiting(reason)
            case .halted(let reason): throw SessionStop.halt(reason)
            case .opened(let count):
                healed = count
                ports.observer?.opened()
            }
            look = try await ports.log.look(at: partition)
            state = LogState(look, row: try await ledger.row(of: partition), identity: ports.identity)
        }
        guard case .open(let history) = state, let head = look.head else { return .waiting(Self.explain(state)) }
        let outcome = try await ports.sink.fence(partition, under: history, owner: ports.owner)
        guard case .fenced(let permit, let position) = outcome else { return .waiting("the log was closed meanwhile") }
        if ports.past == nil, head.first > position.seq.next {
            throw SessionStop.halt(Self.trimmed(partition, head, position))
        }
        switch try await ports.builtIn?.check(permit) ?? .agrees {
        case .agrees: break
        case .differs(let how): throw SessionStop.halt("partition \(partition): \(how)")
        case .moved: throw SessionStop.positionMoved
        }
        serving = Serving(permit: permit, position: position, head: head.place)
        try Faults.pass(.afterFence)
        try await skipToBeginning()
        // What it shows of its position may be missing, or older than what its store has.
        if ports.builtIn == nil { try await acknowledge([Acknowledgement](), permit) }

        var progress: Progress
        do {
            progress = try await reclaim()
        } catch let error as StoreError where error.kind == .groupMissing {
            let start = try await EntrySearch(log: ports.log, partition: partition).start(
                behind: serving?.position ?? position)
            try await ports.log.createGroup(in: partition, after: start.predecessor ?? .zero)
            progress = try await reclaim()
        }
        try Faults.pass(.afterReclaim)
        try await ports.log.removeIdleConsumers(from: partition)
        progress.healed = healed
        return .serving(progress)
    }

    /// Handles entries that were delivered, in the order given.
    ///
    /// - Parameters:
    ///   - entries: What was read.
    ///   - meanwhile: What else there is to do while the sink works; see ``BuiltInSink/apply(_:meanwhile:)``.
    /// - Returns: What came of them.
    /// - Throws: ``StoreError`` or ``SessionStop``: what was not acknowledged stays pending; take over again.
    package func process(_ entries: [Entry], meanwhile: () async -> Void = {}) async throws -> Progress {
        guard let serving else { return Progress() }
        var step = Step(Batch(serving.permit, after: serving.position))
        for entry in entries { try await take(entry, into: &step) }
        try await finish(&step, meanwhile)
        return step.progress
    }

    /// Looks at the head: after a read that came back empty, and in time.
    ///
    /// - Parameter foundNothing: Whether the last read found nothing new here.
    /// - Returns: ``Progress/isBehind`` when entries should be there that no read has found yet; the second time in a
    ///   row they are fetched from the log itself (a stopped worker's read may have taken them).
    /// - Throws: As ``process(_:)``.
    package func look(foundNothing: Bool) async throws -> Progress {
        guard var serving else { return Progress() }
        serving.head = try await headUnder(serving.permit).place
        defer { self.serving?.behindAt = serving.behindAt }
        self.serving?.head = serving.head
        guard foundNothing, serving.head.seq > serving.position.seq else {
            serving.behindAt = nil
            return foundNothing ? try await reclaimNowAndThen() : Progress()
        }
        guard serving.behindAt == serving.position.seq else {
            serving.behindAt = serving.position.seq
            var progress = Progress()
            progress.isBehind = true
            return progress
        }
        serving.behindAt = nil
        var step = Step(Batch(serving.permit, after: serving.position))
        try await fill(before: nil, &step)
        return step.progress
    }

    // MARK: - One step

    private struct Step {
        var batch: Batch
        var duplicates: [Entry] = []
        var progress = Progress()

        init(_ batch: Batch) { self.batch = batch }
    }

    private func take(_ entry: Entry, into step: inout Step) async throws {
        switch try await judge(entry, after: step.batch.last, step.batch.permit) {
        case .gap:
            try await flush(&step)
            if try await fill(before: entry, &step) { return try await take(entry, into: &step) }
            step.batch.setAside(entry)
        case let verdict: add(entry, verdict, to: &step)
        }
    }

    private func judge(_ entry: Entry, after last: Seq, _ permit: Permit) async throws -> Verdict {
        func verdict() -> Verdict {
            Verdict(
                on: entry, after: last, head: serving?.head ?? Place(epoch: permit.history.epoch, seq: .none),
                in: partition, ports.identity.partitioning)
        }
        guard verdict() == .beyondHead else { return verdict() }
        serving?.head = try await headUnder(permit).place
        return verdict()
    }

    private func add(_ entry: Entry, _ verdict: Verdict, to step: inout Step) {
        switch (verdict, entry.place) {
        case (.apply(let change), let place?): step.batch.apply(change, of: entry, at: place)
        case (.quarantine(let quarantine), let place?): step.batch.quarantine(entry, quarantine, at: place.seq)
        case (.duplicate, _): step.duplicates.append(entry)
        default: step.batch.setAside(entry)
        }
    }

    /// Applies what was gathered, then acknowledges.
    private func flush(_ step: inout Step, _ meanwhile: () async -> Void = {}) async throws {
        let batch = step.batch
        guard !batch.isEmpty else { return }
        guard lease.isUsable(at: ports.pacing.now) else { throw SessionStop.leaseUncertain }
        try await settle(batch, meanwhile)
        serving?.position = batch.position
        step.progress.applied += batch.applied.count
        step.progress.quarantined += batch.deadLetters.count
        step.batch = Batch(batch.permit, after: batch.position)
        try await acknowledge(batch)
    }

    /// Applies, or ends the session.
    private func settle(_ batch: Batch, _ meanwhile: () async -> Void = {}) async throws {
        let began = ports.pacing.now
        switch try await apply(batch, meanwhile) {
        case .applied:
            ports.observer?.applied(batch, in: began.duration(to: ports.pacing.now))
        case .historyChanged: throw SessionStop.historyChanged
        case .fenced(let owner): throw SessionStop.fenced(by: owner)
        case .positionMoved: throw SessionStop.positionMoved
        }
    }

    private func apply(_ batch: Batch, _ meanwhile: () async -> Void) async throws -> ApplyOutcome {
        guard let sink = ports.builtIn else { return try await ports.sink.apply(batch) }
        return try await sink.apply(batch, meanwhile: meanwhile)
    }

    private func acknowledge(_ batch: Batch) async throws {
        if ports.builtIn?.acknowledgesOnApply == true { return }
        let placed = batch.placedIDs.map { Acknowledgement(seq: $0.seq, entry: $0.id) }
        let byHand = batch.deadLetters.filter { $0.seq == nil }.map {
            Acknowledgement(seq: nil, entry: $0.entry.id)
        }
        try await acknowledge(placed + byHand, batch.permit)
    }

    private func finish(_ step: inout Step, _ meanwhile: () async -> Void = {}) async throws {
        try await flush(&step, meanwhile)
        guard !step.duplicates.isEmpty else { return }
        try await compareWithLedger(step.duplicates)
        try await acknowledge(
            step.duplicates.map { Acknowledgement(seq: $0.place?.seq, entry: $0.id) }, step.batch.permit)
        step.progress.duplicates += step.duplicates.count
        step.duplicates = []
    }

    private func acknowledge(_ entries: [Acknowledgement], _ permit: Permit) async throws {
        guard try await ports.log.acknowledge(entries, under: permit, heeding: heed) else {
            throw SessionStop.historyChanged
        }
    }

    private var heed: AcknowledgementHeed {
        guard let sink = ports.builtIn else { return serving.map { .showing($0.position) } ?? .nothing }
        return sink.acknowledgesOnApply ? .position : .nothing
    }

    /// A duplicate whose place holds another change in the ledger means that the log forked.
    private func compareWithLedger(_ duplicates: [Entry]) async throws {
        guard let ledger = ports.ledger else { return }
        let recorded = try await ledger.changeIDs(in: partition, at: duplicates.compactMap { $0.place?.seq })
        for entry in duplicates {
            guard case .change(let change) = entry.content, let place = entry.place else { continue }
            guard let id = recorded[place.seq] ?? nil, id != change.id else { continue }
            throw SessionStop.halt(
                "partition \(partition): the log forked: at seq \(place.seq) it has \(change.id) (epoch "
                    + "\(place.epoch)), and the ledger has \(id)")
        }
    }

    // MARK: - Looking for entries

    /// Behind a lost tail, a stopped worker's late read may take entries that are applied already: no gap would show them.
    private func reclaimNowAndThen() async throws -> Progress {
        serving?.idleLooks += 1
        guard let looks = serving?.idleLooks, looks.isMultiple(of: Self.looksPerReclaim) else { return Progress() }
        return try await reclaim()
    }

    private func reclaim() async throws -> Progress {
        var sum = Progress()
        var cursor = EntryID.zero
        repeat {
            let reclaimed = try await ports.log.reclaim(from: partition, cursor: cursor, limit: EntrySearch.chunk)
            let progress = try await process(reclaimed.entries)
            sum.reclaimed += reclaimed.entries.count
            sum.applied += progress.applied
            sum.duplicates += progress.duplicates
            sum.quarantined += progress.quarantined
            // Entries that the log no longer holds show up as a gap, by their seq.
            cursor = reclaimed.cursor
        } while cursor != .zero
        return sum
    }

    /// Applies the entries between the position and `entry`, fetched from the log whoever they were delivered to.
    ///
    /// - Parameters:
    ///   - entry: The entry that shows the gap; nil when the head does.
    ///   - step: What was gathered so far, already applied.
    /// - Returns: Whether `entry` is the next one now. When what is missing lies behind it instead, it was added by hand.
    /// - Throws: ``SessionStop/halt(_:)`` when entries are missing from the log.
    @discardableResult
    private func fill(before entry: Entry?, _ step: inout Step) async throws -> Bool {
        let search = EntrySearch(log: ports.log, partition: partition)
        let permit = step.batch.permit
        var start = try await search.start(behind: step.batch.position)
        var isDone = false
        while !isDone {
            let entries = try await ports.log.range(in: partition, from: start, limit: EntrySearch.chunk)
            for found in entries {
                if let entry, found.id >= entry.id {
                    isDone = true
                    break
                }
                switch try await judge(found, after: step.batch.last, permit) {
                case .apply(let change): add(found, .apply(change), to: &step)
                case .quarantine(let quarantine): add(found, .quarantine(quarantine), to: &step)
                // Read already, or to be read on its own.
                case .duplicate, .gap, .beyondHead, .addedByHand: break
                }
            }
            try await flush(&step)
            guard let last = entries.last else { break }
            start = last.id.successor
        }
        let last = step.batch.last
        let wanted = entry?.place?.seq.previous ?? serving?.head.seq ?? last
        if last >= wanted { return true }
        if let entry, try await isInLog(last.next, behind: entry.id) { return false }
        if try await fillFromLedger(through: wanted, &step) { return true }
        // What is trimmed was applied: by another worker, that has taken over since.
        if try await headUnder(permit).first > last.next { throw SessionStop.positionMoved }
        throw SessionStop.halt(
            "partition \(partition): the log lacks seq \(last.next) to \(wanted), which nobody applied here. They were "
                + "trimmed or deleted")
    }

    /// Moves a sink of the user's over what lies before its group's beginning.
    private func skipToBeginning() async throws {
        guard let serving, let begin = ports.definition?.beginning(of: partition) else { return }
        guard serving.position.seq.number < begin.seq else { return }
        let batch = Batch(
            serving.permit, after: serving.position, skippingThrough: Seq(begin.seq), EntryID(begin.entry))
        try await settle(batch)
        self.serving?.position = batch.position
    }

    /// Applies to a sink of the user's what the log no longer holds: its permanent copy has every entry that was applied.
    ///
    /// - Returns: Whether the sink has everything up to `end` now.
    private func fillFromLedger(through end: Seq, _ step: inout Step) async throws -> Bool {
        guard let past = ports.past else { return false }
        while step.batch.last < end {
            let before = step.batch.last
            let rows = try await past.entries(in: partition, after: before, limit: EntrySearch.chunk)
            for row in rows where row.seq <= end {
                guard row.seq == step.batch.last.next else { return false }
                let entry = row.entry(in: step.batch.permit.history.epoch)
                add(entry, try await judge(entry, after: step.batch.last, step.batch.permit), to: &step)
            }
            // A row that is no entry of this log, as somebody wrote it, leads nowhere.
            guard step.batch.last > before else { return false }
            try await flush(&step)
        }
        return true
    }

    private func isInLog(_ seq: Seq, behind id: EntryID) async throws -> Bool {
        var start = id.successor
        while true {
            let entries = try await ports.log.range(in: partition, from: start, limit: EntrySearch.chunk)
            if entries.contains(where: { $0.place?.seq == seq }) { return true }
            guard let last = entries.last else { return false }
            start = last.id.successor
        }
    }

    /// The head, if the log is still in the permit's history.
    private func headUnder(_ permit: Permit) async throws -> Head {
        let look = try await ports.log.look(at: partition)
        guard look.history == permit.history, let head = look.head else { throw SessionStop.historyChanged }
        return head
    }

    private static func trimmed(_ partition: Partition, _ head: Head, _ position: Position) -> String {
        "partition \(partition): the log begins with seq \(head.first), since what all groups had applied was trimmed, and this "
            + "sink is at seq \(position.seq): it was put back, or restored from an older copy. The log can't give it seq "
            + "\(position.seq.next) to \(head.first.previous)"
    }

    private static func explain(_ state: LogState) -> String {
        switch state {
        case .open: "the log is open"
        case .closed: "the log is closed: Redis was restarted or replaced. A worker of group postgres opens it"
        case .superseded: "this Redis server is superseded: the log was opened on another one since"
        case .missing: "there is no log here. A worker of group postgres, or status, says what to do"
        case .mismatch(let why): why
        }
    }
}
