#if Kafka
import Faults
import KafkaClient
import OrderLog
import Sinks
import ThreadedIO

/// Produces a batch's messages, and the position, in one transaction.
///
/// A partition of the log has a transactional ID of its own, so whoever takes it over fences the producer before. The
/// position is an offset of a consumer group of that name, with a ``SinkRecord`` as its metadata.
final class KafkaSink: Sink {
    private static let patience: Duration = .seconds(10)
    /// Producers of partitions that others have taken over meanwhile are let go of.
    private static let idle: Duration = .seconds(120)
    /// What a transaction holds at most: far below what a broker, or the queue, takes.
    private static let bytesMax = 8 << 20

    private struct Producing {
        let producer: KafkaProducer
        var record: SinkRecord
        var lastUsed: ContinuousClock.Instant
    }

    private let kind: KafkaKind
    private let properties: [String: String]
    private let identity: LogIdentity
    private var producing: [Partition: Producing] = [:]

    init(_ kind: KafkaKind, _ properties: [String: String], _ identity: LogIdentity) {
        self.kind = kind
        self.properties = properties
        self.identity = identity
    }

    /// The transactional ID, and the consumer group whose offset is the position.
    private func name(_ partition: Partition) -> String { "onewrite-\(identity.log)-\(kind.group)-\(partition)" }

    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome {
        producing[partition] = nil
        let now = ContinuousClock.now
        producing = producing.filter { $0.value.lastUsed.duration(to: now) < Self.idle }
        let deadline = Deadline.after(Self.patience)
        return try translating { () throws(KafkaError) in
            let producer = try KafkaProducer(properties, transactionalID: name(partition))
            // From here on no older producer commits, and what it had begun is settled.
            try producer.initTransactions(until: deadline)
            let committed = try KafkaLook(properties).committed(
                group: name(partition), topic: kind.topic, until: deadline)
            guard
                var record = committed.map({ SinkRecord(offset: $0.offset, metadata: $0.metadata) })
                    ?? SinkRecord.none
            else {
                throw KafkaError(
                    .fatal, "the position of partition \(partition), at group \(name(partition)), is not ours")
            }
            let outcome = record.takeOver(partition, under: history, by: owner)
            guard case .fenced = outcome else { return outcome }
            // Recorded with the next batch: what fences is the producer's own epoch, and a position is never written back as read.
            producing[partition] = Producing(producer: producer, record: record, lastUsed: .now)
            return outcome
        }
    }

    func apply(_ batch: Batch) async throws -> ApplyOutcome {
        for part in batch.parts(changes: 1000, bytes: Self.bytesMax) {
            let outcome = try apply(part: part)
            guard outcome == .applied else { return outcome }
        }
        return .applied
    }

    private func apply(part batch: Batch) throws -> ApplyOutcome {
        let partition = batch.permit.partition
        guard let held = producing[partition] else { return .fenced(by: "") }
        var record = held.record
        let outcome = record.advance(over: batch)
        guard outcome == .applied else { return outcome }
        let deadline = Deadline.after(Self.patience)
        do throws(KafkaError) {
            try held.producer.begin()
            for (number, entry) in batch.applied.enumerated() {
                guard let message = message(entry, in: partition) else { continue }
                try held.producer.produce(message, number: number, to: kind.topic, until: deadline)
            }
            try held.producer.flush(until: deadline)
            try send(record, of: partition, by: held.producer, until: deadline)
        } catch {
            return try end(error, of: batch, by: held.producer)
        }
        // All of it is with the broker, and nobody sees it yet.
        try Faults.pass(.batchHandedOver)
        do throws(KafkaError) {
            try held.producer.commit(until: deadline)
        } catch {
            return try end(error, of: batch, by: held.producer)
        }
        producing[partition]?.record = record
        producing[partition]?.lastUsed = .now
        return .applied
    }

    /// What follows from an error within a transaction.
    private func end(_ error: KafkaError, of batch: Batch, by producer: KafkaProducer) throws -> ApplyOutcome {
        let partition = batch.permit.partition
        switch error.kind {
        case .fenced:
            producing[partition] = nil
            return .fenced(by: "another worker")
        case .tooLarge where !batch.applied.isEmpty:
            try translating { () throws(KafkaError) in try producer.abort(until: .after(Self.patience)) }
            // A broker refuses what was sent together, for its size; each half by itself tells more.
            guard let halves = batch.halves else {
                let change = batch.applied[0]
                if let before = batch.part(before: change.place.seq) {
                    let outcome = try apply(part: before)
                    guard outcome == .applied else { return outcome }
                }
                throw RefusedChange(seq: change.place.seq, reason: "Kafka: \(error)")
            }
            let outcome = try apply(part: halves.0)
            return outcome == .applied ? try apply(part: halves.1) : outcome
        default:
            // Taking over anew settles what was begun, and tells what was committed.
            producing[partition] = nil
            throw translated(error)
        }
    }

    private func send(
        _ record: SinkRecord, of partition: Partition, by producer: KafkaProducer, until deadline: Deadline
    ) throws(KafkaError) {
        try producer.sendOffset(
            record.seq, metadata: record.metadata, group: name(partition), topic: kind.topic, until: deadline)
    }

    private func message(_ entry: Batch.Applied, in partition: Partition) -> KafkaProducer.Message? {
        let value: String
        switch kind.value {
        case .change: value = ChangeJSON.text(entry, in: partition)
        case .job:
            guard let job = DeliveryJob.json(for: entry, in: partition) else { return nil }
            value = job
        }
        let key = kind.key == .shop ? entry.change.shop : entry.change.order ?? entry.change.id
        return KafkaProducer.Message(
            key: key, value: value,
            headers: [
                ("onewrite-partition", "\(partition)"), ("onewrite-epoch", "\(entry.place.epoch)"),
                ("onewrite-seq", "\(entry.place.seq)"), ("onewrite-type", entry.change.kind.rawValue),
            ], timestamp: Int64(entry.id.milliseconds))
    }

    private func translating<Result>(_ body: () throws(KafkaError) -> Result) throws -> Result {
        do throws(KafkaError) {
            return try body()
        } catch {
            throw translated(error)
        }
    }

    private func translated(_ error: KafkaError) -> StoreError {
        let kind: StoreError.Kind = error.kind == .notPermitted ? .notPermitted : .refused
        return StoreError(.own, kind, "\(self.kind.group): Kafka: \(error)", outcomeIsUnknown: true)
    }
}

extension SinkRecord {
    /// As the metadata of an offset has it: `1 epoch seq entry token owner`, the first a version; `-` for no entry.
    fileprivate var metadata: String { "1 \(epoch) \(seq) \(entry.isEmpty ? "-" : entry) \(token) \(owner)" }

    /// Reads an offset, which is the seq, and its metadata; nil for another's.
    ///
    /// Where a broker doesn't keep metadata, the offset is enough: a producer's epoch fences, and an entry's ID is a hint.
    fileprivate init?(offset: Int64, metadata: String) {
        if metadata.isEmpty {
            self.init(epoch: 0, seq: offset, entry: "", token: 0, owner: "")
            return
        }
        let words = metadata.split(separator: " ")
        guard words.count == 6, words[0] == "1", let epoch = Int64(words[1]), let seq = Int64(words[2]),
            let token = Int64(words[4]), epoch >= 0, seq == offset, token >= 0
        else { return nil }
        self.init(
            epoch: epoch, seq: seq, entry: words[3] == "-" ? "" : String(words[3]), token: token,
            owner: String(words[5]))
    }
}
#endif
