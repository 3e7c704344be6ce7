import OrderLog

/// The log in a simulated Redis, as one consumer of one group uses it.
final class SimulatedLog: TrimmableLog {
    let redis: SimulatedRedis
    private let wire: Wire
    private let group: Group
    private let consumer: WorkerName
    /// nil where nothing is simulated: reads don't wait.
    private let line: (schedule: Schedule, process: SimulatedProcess)?
    /// What the read that was begun has taken: at once, whenever it is received.
    private var ahead: [Delivered] = []

    init(
        _ redis: SimulatedRedis, _ wire: Wire, _ group: Group, _ consumer: WorkerName,
        _ line: (schedule: Schedule, process: SimulatedProcess)?
    ) {
        self.redis = redis
        self.wire = wire
        self.group = group
        self.consumer = consumer
        self.line = line
    }

    func look(at partition: Partition) async throws -> LogLook {
        try await wire.call { [redis] in redis.look(partition) }
    }

    func reclaim(from partition: Partition, cursor: EntryID, limit: Int) async throws -> Reclaimed {
        try await wire.call { [redis, group, consumer] in
            guard let pending = redis.keys(partition).groups[group.place]?.pending else { throw Self.groupMissing }
            let from = pending.firstIndex { $0.entry >= cursor } ?? pending.endIndex
            let claimed = pending[from...].prefix(min(limit, redis.replyLimit))
            let entries = claimed.compactMap { redis.keys(partition).item($0.entry)?.entry }
            let missing = claimed.map(\.entry).filter { redis.keys(partition).item($0) == nil }
            redis.write(partition) { keys in
                keys.groups[group.place]?.consumers.insert(consumer)
                for index in claimed.indices { keys.groups[group.place]?.pending[index].consumer = consumer }
                if !missing.isEmpty { keys.groups[group.place]?.pending.removeAll { missing.contains($0.entry) } }
            }
            let next = claimed.endIndex < pending.endIndex ? pending[claimed.endIndex].entry : .zero
            return Reclaimed(entries: entries, cursor: next, missing: missing)
        }
    }

    func acknowledge(
        _ entries: [Acknowledgement], under permit: Permit, heeding heed: AcknowledgementHeed
    ) async throws -> Bool {
        try await wire.call { [redis, group] in
            redis.acknowledge(entries, group, under: permit, isBoundByPosition: heed == .position)
        }
    }

    func read(from partitions: [Partition], limit: Int, wait: Duration) async throws -> [Delivered] {
        var parked: SimulatedRedis.ParkedRead?
        let delivered: [Delivered] = try await wire.call { [redis, group, consumer, wire, line] in
            for partition in partitions where redis.keys(partition).groups[group.place] == nil {
                throw Self.groupMissing
            }
            let delivered = partitions.compactMap { partition -> Delivered? in
                let entries = redis.deliver(partition, group, consumer, limit: limit)
                return entries.isEmpty ? nil : Delivered(partition: partition, count: entries.count) { entries }
            }
            if delivered.isEmpty, wait > .zero, line != nil {
                let read = SimulatedRedis.ParkedRead(group, consumer, partitions, limit, wire)
                redis.parked.append(read)
                parked = read
            }
            return delivered
        }
        guard let parked, let (schedule, process) = line else { return delivered }
        if parked.result == nil && !parked.isGroupMissing {
            let end = schedule.now + Int64(wait / .microseconds(1))
            await schedule.wait(process, until: end) { number in parked.ring = { schedule.wake(number) } }
        }
        parked.ring = nil
        if schedule.isOver { throw Killed() }
        if process.isKilled {
            // The server learns of it now, or only when the read has taken something.
            if schedule.generator.chance(500) { redis.unpark(parked) }
            throw Killed()
        }
        redis.unpark(parked)
        guard wire.isUp else { throw wire.unavailable }
        if parked.isGroupMissing { throw Self.groupMissing }
        return parked.result ?? []
    }

    func sendRead(from partitions: [Partition], limit: Int) async throws {
        ahead = try await read(from: partitions, limit: limit, wait: .zero)
    }

    func receiveRead() async throws -> [Delivered] {
        guard wire.isUp else { throw wire.unavailable }
        return ahead
    }

    func range(in partition: Partition, from start: EntryID, limit: Int) async throws -> [Entry] {
        try await wire.call { [redis] in
            let keys = redis.keys(partition)
            return keys.log[keys.index(from: start)...].prefix(min(limit, redis.replyLimit)).map(\.entry)
        }
    }

    func lastEntries(in partition: Partition, through end: EntryID?, limit: Int) async throws -> [Entry] {
        try await wire.call { [redis] in
            let keys = redis.keys(partition)
            let upper = end.map { keys.index(from: $0.successor) } ?? keys.log.endIndex
            return keys.log[..<upper].suffix(min(limit, redis.replyLimit)).reversed().map(\.entry)
        }
    }

    func extent(of partition: Partition) async throws -> LogExtent {
        try await wire.call { [redis] in
            let log = redis.keys(partition).log
            return LogExtent(first: log.first?.entry, last: log.last?.entry, count: log.count)
        }
    }

    func beginNewFile(for partition: Partition) async throws -> String? {
        try await wire.call { [redis] in redis.beginNewFile() }
        return nil
    }

    func createGroup(in partition: Partition, after entry: EntryID) async throws {
        try await wire.call { [redis, group] in
            guard redis.keys(partition).groups[group.place] == nil else { return }
            redis.write(partition, isSingle: true) {
                $0.groups[group.place] = PartitionKeys.ConsumerGroup(lastDelivered: entry)
            }
        }
    }

    func removeIdleConsumers(from partition: Partition) async throws {
        try await wire.call { [redis, group, consumer] in
            guard let found = redis.keys(partition).groups[group.place] else { throw Self.groupMissing }
            let busy = Set(found.pending.map(\.consumer))
            redis.write(partition) {
                $0.groups[group.place]?.consumers = found.consumers.filter { $0 == consumer || busy.contains($0) }
            }
        }
    }

    func standings(in partition: Partition) async throws -> [GroupStanding] {
        try await wire.call { [redis] in
            let keys = redis.keys(partition)
            return [Group.postgres, .stock].map { group in
                let position = keys.positions[group.place]
                return GroupStanding(
                    group: group, seq: group == .postgres ? nil : position?.seq ?? Seq.none, entry: position?.entry,
                    began: .none, oldestPending: keys.groups[group.place]?.pending.map(\.entry).min())
            }
        }
    }

    func trim(
        _ partition: Partition, before keep: EntryLocation, under history: History, heeding standings: [GroupStanding]
    ) async throws -> TrimOutcome {
        try await wire.call { [redis, consumer, line] in
            let outcome = redis.trim(partition, before: keep, under: history, heeding: standings)
            line?.schedule.note(
                "\(consumer): trim.lua \(partition) on \(redis.name) before seq \(keep.place.seq), epoch "
                    + "\(history.epoch): \(outcome)")
            return outcome
        }
    }

    func shut(_ partition: Partition, epoch: Epoch) async throws -> Bool {
        try await wire.call { [redis] in redis.shut(partition, epoch: epoch) }
    }

    func open(
        _ partition: Partition, seen: LogLook, epoch: Epoch, identity: LogIdentity, admitted: [String],
        healing: [LedgerEntry], isLast: Bool
    ) async throws -> OpenOutcome {
        try await wire.call { [redis, consumer, line] in
            let outcome = redis.open(
                partition, seen: seen, epoch: epoch, identity: identity, admitted: !admitted.isEmpty, healing: healing,
                isLast: isLast)
            line?.schedule.note(
                "\(consumer): open.lua \(partition) on \(redis.name), epoch \(epoch), seen seq "
                    + "\(seen.head?.seq.description ?? "-"), healing \(healing.count)\(isLast ? ", last" : ""): \(outcome)"
            )
            return outcome
        }
    }

    private static let groupMissing = StoreError(.redis, .groupMissing, "NOGROUP")
}
