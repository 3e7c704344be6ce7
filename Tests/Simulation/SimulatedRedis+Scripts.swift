import OrderLog

/// A change on its way into the log, as `append.lua` takes it.
struct Submission {
    let change: Change
    let name: String
    let digest: String

    init(_ change: Change) {
        self.change = change
        name = "\(change.shop) \(change.id)"
        digest = Digest(of: change).description
    }
}

enum AppendOutcome: String, Equatable { case accepted, duplicate, conflict, refused }

enum AppendReply: Equatable {
    struct Result: Equatable {
        let outcome: AppendOutcome
        let seq: Seq
        let entry: EntryID
    }

    case closed, noLog, counting
    case appended([Result])
}

/// The Lua scripts, each as one step.
extension SimulatedRedis {
    /// `append.lua`.
    func append(_ partition: Partition, _ submissions: [Submission]) -> AppendReply {
        guard let head = keys(partition).head else { return .noLog }
        guard isMaster, replid == head.replid else { return .closed }
        let admission = keys(partition).admission
        if case .counting = admission,
            submissions.contains(where: { $0.change.kind == .orderPlaced && keys(partition).seen[$0.name] == nil })
        {
            return .counting
        }
        let reply = write(partition) { keys in
            var results: [AppendReply.Result] = []
            var seq = head.seq
            var fresh: [(String, PartitionKeys.SeenPlace)] = []
            for submission in submissions {
                let repeated = fresh.first { $0.0 == submission.name }?.1
                if let known = keys.seen[submission.name] ?? repeated {
                    let outcome: AppendOutcome = known.digest == submission.digest ? .duplicate : .conflict
                    results.append(AppendReply.Result(outcome: outcome, seq: known.seq, entry: known.entry))
                    continue
                }
                if admission != nil {
                    let rest = submission.change.stock(after: keys.available)
                    if admission == .on, submission.change.kind == .orderPlaced, rest < 0 {
                        judge?.refused(submission.change, keys, fresh.map(\.0), partition, on: self)
                        results.append(AppendReply.Result(outcome: .refused, seq: seq, entry: .zero))
                        continue
                    }
                    keys.available = rest
                }
                seq = seq.next
                let place = Place(epoch: head.epoch, seq: seq)
                let item = add(&keys) { LogItem(Entry(id: $0, place: place, content: .change(submission.change))) }
                judge?.appended(item, to: partition, on: self, epoch: head.epoch)
                let seen = PartitionKeys.SeenPlace(digest: submission.digest, seq: seq, entry: item.entry.id)
                fresh.append((submission.name, seen))
                results.append(AppendReply.Result(outcome: .accepted, seq: seq, entry: item.entry.id))
            }
            for (name, place) in fresh { keys.seen[name] = place }
            keys.head = head.moved(to: seq)
            return AppendReply.appended(results)
        }
        judge?.compareAvailable(partition, self)
        serveParked(partition)
        return reply
    }

    /// A producer that doesn't check its fields takes the next place; or somebody adds an entry without a place.
    func addUnusable(_ partition: Partition, id: String, isPlaced: Bool) {
        guard let head = keys(partition).head, isMaster, replid == head.replid else { return }
        write(partition) { keys in
            let place = isPlaced ? Place(epoch: head.epoch, seq: head.seq.next) : nil
            let shop = OrderStock.shop(of: partition)
            let fields = [("type", "order.placed"), ("id", id), ("shop", shop), ("lines", "TEA:0")].map {
                EntryField(name: Array($0.utf8), value: Array($1.utf8))
            }
            let item = add(&keys) { entryID in
                LogItem(
                    Entry(id: entryID, place: place, content: .unusable(Quarantine(.invalid, "lines"), fields: fields)),
                    isGenuine: isPlaced)
            }
            if let place {
                keys.head = head.moved(to: place.seq)
                judge?.appended(item, to: partition, on: self, epoch: head.epoch)
            }
        }
        serveParked(partition)
    }

    /// `look.lua`.
    func look(_ partition: Partition) -> LogLook {
        LogLook(replid: replid, isMaster: isMaster, head: keys(partition).head)
    }

    /// `shut.lua`.
    func shut(_ partition: Partition, epoch: Epoch) -> Bool {
        guard let head = keys(partition).head, head.epoch == epoch else { return false }
        write(partition, isSingle: true) { $0.head = head.opened(epoch: epoch, seq: head.seq, replid: "") }
        return true
    }

    /// `open.lua`.
    func open(
        _ partition: Partition, seen: LogLook, epoch: Epoch, identity log: LogIdentity, admitted: Bool,
        healing: [LedgerEntry], isLast: Bool
    ) -> OpenOutcome {
        let read = keys(partition).head
        let isAsSeen =
            isMaster && replid == seen.replid && read?.epoch == seen.head?.epoch && read?.seq == seen.head?.seq
        guard isAsSeen else { return .changed }
        if read == nil, !keys(partition).log.isEmpty { return .orphaned }
        let head =
            read
            ?? Head(epoch: epoch, seq: .none, replid: "", partitions: log.partitioning.count, log: log.log)
        let replid = replid
        write(partition) { keys in
            var seq = head.seq
            for entry in healing {
                seq = entry.seq
                let place = Place(epoch: epoch, seq: seq)
                let item = add(&keys) { LogItem(Self.entry(entry, id: $0, place: place)) }
                guard let change = entry.change else { continue }
                if keys.admission != nil { keys.available = item.entry.content.stock(after: keys.available) }
                keys.seen[change.name] = PartitionKeys.SeenPlace(digest: change.digest, seq: seq, entry: item.entry.id)
            }
            keys.head = head.opened(epoch: epoch, seq: seq, replid: isLast ? replid : "")
            if isLast, admitted, keys.admission == nil {
                keys.admission = .counting(nextCounting())
                keys.available = 0
            }
            if isLast, !admitted, keys.admission != nil {
                keys.admission = nil
                keys.available = 0
            }
        }
        judge?.compareAvailable(partition, self)
        if isLast { judge?.opened(partition, on: self, epoch: epoch) }
        serveParked(partition)
        return .opened
    }

    private static func entry(_ entry: LedgerEntry, id: EntryID, place: Place) -> Entry {
        var decoder = EntryDecoder()
        func add(_ field: EntryField) {
            field.name.withUnsafeBytes { name in field.value.withUnsafeBytes { decoder.add(name: name, value: $0) } }
        }
        func number(_ name: String, _ value: Int64) {
            add(EntryField(name: Array(name.utf8), value: Array(value.description.utf8)))
        }
        number("epoch", place.epoch.number)
        number("seq", place.seq.number)
        for field in entry.fields { add(field) }
        return decoder.finish(id: id) { entry.fields }
    }

    /// `fence.lua`.
    func fence(_ partition: Partition, _ group: Group, under history: History, owner: WorkerName) throws -> FenceOutcome
    {
        guard seq(partition, under: history) != nil else { return .historyChanged }
        let keys = keys(partition)
        if keys.positions[group.place] == nil, let found = keys.groups[group.place],
            let first = keys.log.first?.entry.id,
            first <= found.lastDelivered, !found.pending.contains(where: { $0.entry == first })
        {
            throw StoreError(.redis, .refused, "STALLED the position is missing")
        }
        return write(partition) { keys in
            var position = keys.positions[group.place] ?? PartitionKeys.PositionKey(epoch: history.epoch)
            position.token += 1
            position.owner = owner.text
            keys.positions[group.place] = position
            let permit = Permit(
                partition: partition, history: history, token: Token(position.token), owner: owner)
            return .fenced(permit, Position(epoch: position.epoch, seq: position.seq, entry: position.entry))
        }
    }

    /// `check.lua`, and the counting before it.
    func check(_ permit: Permit, _ group: Group) -> CheckOutcome {
        guard seq(permit.partition, under: permit.history) != nil,
            let position = keys(permit.partition).positions[group.place],
            position.token == permit.token.number, position.owner == permit.owner.text
        else { return .moved }
        let count = keys(permit.partition).applied.count
        return count == position.sum ? .agrees : .differs("\(count) are applied, and the position says \(position.sum)")
    }

    /// `stock.lua`.
    func apply(_ batch: Batch, _ group: Group) -> ApplyOutcome {
        let permit = batch.permit
        let partition = permit.partition
        guard let headSeq = seq(partition, under: permit.history), headSeq >= batch.last else {
            return .historyChanged
        }
        guard let position = keys(partition).positions[group.place] else { return .fenced(by: "") }
        let isOwner = position.token == permit.token.number && position.owner == permit.owner.text
        guard isOwner else { return .fenced(by: position.owner) }
        guard position.seq == batch.first.previous else { return .positionMoved(to: position.seq) }
        write(partition) { keys in
            for mark in batch.marks { keys.applied.append(mark) }
            let isTaken = takesNext && !batch.applied.isEmpty
            if isTaken {
                takesNext = false
                // What was to come in, and was sold already, doesn't come; what was given back, and sold again, is applied after
                // all when Redis loses that it was taken.
                judge?.coversAll = false
            }
            keys.stock = batch.applied.dropFirst(isTaken ? 1 : 0).reduce(keys.stock) { $1.change.stock(after: $0) }
            if keys.admission != nil, isTaken || batch.deadLetters.contains(where: { $0.seq != nil }) {
                keys.admission = .counting(nextCounting())
            }
            for letter in batch.deadLetters where letter.seq == nil {
                keys.appliedByHand += 1
                Self.acknowledge(&keys, group, letter.entry.id)
            }
            if batch.last >= batch.first {
                keys.positions[group.place]?.epoch = permit.history.epoch
                keys.positions[group.place]?.seq = batch.last
                keys.positions[group.place]?.entry = batch.lastEntry
                keys.positions[group.place]?.sum = position.sum + batch.marks.count
            }
            for entry in batch.placedIDs { Self.acknowledge(&keys, group, entry.id) }
        }
        judge?.appliedInRedis(batch, isOwner: isOwner, on: self)
        judge?.compareAvailable(partition, self)
        return .applied
    }

    /// `admission.lua`, to turn it on or off.
    func turnAdmission(_ isOn: Bool, _ partition: Partition, under history: History) -> PartitionKeys.Admission?? {
        guard seq(partition, under: history) != nil else { return nil }
        if isOn == (keys(partition).admission != nil) { return .some(keys(partition).admission) }
        write(partition) { keys in
            keys.available = 0
            keys.admission = isOn ? .starting(nextCounting()) : nil
        }
        return .some(keys(partition).admission)
    }

    /// `admission_count.lua`: nil when it can't be counted now.
    func countAvailable(_ partition: Partition, under history: History) -> PartitionKeys.Admission? {
        guard let head = seq(partition, under: history), let state = keys(partition).admission else { return nil }
        let position = keys(partition).positions[Group.stock.place]?.seq ?? .none
        guard head.number - position.number <= behindMax else { return nil }
        write(partition) { $0.available = $0.derivedAvailable }
        return state
    }

    /// `admission.lua`, behind the counting.
    func endCounting(_ partition: Partition, _ state: PartitionKeys.Admission, under history: History) {
        guard seq(partition, under: history) != nil, keys(partition).admission == state else { return }
        write(partition) { $0.admission = .on }
        judge?.compareAvailable(partition, self)
    }

    /// `acknowledge.lua`.
    func acknowledge(
        _ entries: [Acknowledgement], _ group: Group, under permit: Permit, isBoundByPosition: Bool
    ) -> Bool {
        let partition = permit.partition
        guard seq(partition, under: permit.history) != nil else { return false }
        guard keys(partition).groups[group.place] != nil else { return true }
        let limit = isBoundByPosition ? keys(partition).positions[group.place]?.seq ?? .none : Seq(.max)
        write(partition) { keys in
            for entry in entries where (entry.seq ?? .none) <= limit {
                judge?.acknowledged(entry.entry, in: keys, partition, group, on: self)
                Self.acknowledge(&keys, group, entry.entry)
            }
        }
        return true
    }

    /// `trim.lua`.
    func trim(
        _ partition: Partition, before keep: EntryLocation, under history: History, heeding standings: [GroupStanding]
    ) -> TrimOutcome {
        let seq = keep.place.seq
        guard let headSeq = self.seq(partition, under: history), headSeq >= seq else { return .historyChanged }
        guard let found = keys(partition).item(keep.entry), found.entry.place?.seq == seq else { return .elsewhere }
        for standing in standings {
            let position = keys(partition).positions[standing.group.place]?.seq ?? .none
            if standing.seq != nil, max(position, standing.began) < seq { return .held(standing.group) }
            let pending = keys(partition).groups[standing.group.place]?.pending.map(\.entry).min()
            if let pending, pending < keep.entry { return .held(standing.group) }
        }
        return write(partition) { keys in
            let count = keys.index(from: keep.entry)
            keys.log.removeFirst(count)
            if let head = keys.head { keys.head = head.beginning(with: max(head.first, seq)) }
            judge?.trimmed(partition, on: self, before: seq, in: keys)
            return .trimmed(count)
        }
    }

    private static func acknowledge(_ keys: inout PartitionKeys, _ group: Group, _ id: EntryID) {
        keys.groups[group.place]?.pending.removeAll { $0.entry == id }
    }

    /// `lease_acquire.lua`; `isGone` when the holder's subscription is seen to be gone.
    func acquireLease(
        _ partition: Partition, _ group: Group, _ worker: WorkerName, milliseconds: Int64, isGone: (WorkerName) -> Bool
    ) -> Bool {
        if let lease = keys(partition).leases[group.place], lease.end > now, lease.holder != worker {
            guard isGone(lease.holder) else { return false }
        }
        write(partition, isSingle: true) {
            $0.leases[group.place] = PartitionKeys.LeaseKey(holder: worker, end: now + milliseconds)
        }
        return true
    }

    /// `lease_renew.lua`.
    func renewLease(_ partition: Partition, _ group: Group, _ worker: WorkerName, milliseconds: Int64) -> Bool {
        guard let lease = keys(partition).leases[group.place], lease.end > now, lease.holder == worker else {
            return false
        }
        write(partition, isSingle: true) {
            $0.leases[group.place] = PartitionKeys.LeaseKey(holder: worker, end: now + milliseconds)
        }
        return true
    }
}

extension Head {
    func moved(to seq: Seq) -> Head { opened(epoch: epoch, seq: seq, replid: replid) }

    func beginning(with first: Seq) -> Head {
        Head(epoch: epoch, seq: seq, replid: replid, partitions: partitions, log: log, first: first)
    }

    func opened(epoch: Epoch, seq: Seq, replid: String) -> Head {
        Head(epoch: epoch, seq: seq, replid: replid, partitions: partitions, log: log, first: first)
    }
}

extension Batch {
    /// What each placed entry says, in log order.
    var marks: [String] {
        let placed =
            applied.map { ($0.place.seq, $0.change.id) }
            + deadLetters.compactMap { letter in letter.seq.map { ($0, LogItem.mark(of: letter.entry.content)) } }
        return placed.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
