import Onewrite
import Synchronization

/// A store in this process's memory, with what may go wrong in one.
final class MemoryStore: Sendable {
    struct Refused: Error {}

    private struct Contents {
        var record = SinkRecord.none
        var orders: [String] = []
    }

    private let state = Mutex<[Partition: Contents]>([:])
    /// Batches that still fail, before or behind their effect.
    private let failures = Mutex((before: 0, behind: 0))

    func fail(before: Int, behind: Int) { failures.withLock { $0 = (before, behind) } }

    func orders(in partition: Partition) -> [String] { state.withLock { $0[partition]?.orders ?? [] } }

    func record(of partition: Partition) -> SinkRecord { state.withLock { $0[partition]?.record ?? .none } }

    /// Changes record and data in one step.
    func change<Result: Sendable>(
        _ partition: Partition, _ body: (inout SinkRecord, inout [String]) -> Result
    ) -> Result {
        state.withLock { state in
            var contents = state[partition] ?? Contents()
            defer { state[partition] = contents }
            return body(&contents.record, &contents.orders)
        }
    }

    func failBefore() throws {
        try fail {
            $0.before
        } taking: {
            $0.before -= 1
        }
    }
    func failBehind() throws {
        try fail {
            $0.behind
        } taking: {
            $0.behind -= 1
        }
    }

    private func fail(
        _ left: ((before: Int, behind: Int)) -> Int, taking: (inout (before: Int, behind: Int)) -> Void
    ) throws {
        let fails = failures.withLock { failures in
            guard left(failures) > 0 else { return false }
            taking(&failures)
            return true
        }
        if fails { throw Refused() }
    }
}

/// A sink as it should be.
final class MemorySink: Sink, Sendable {
    let store: MemoryStore

    init(_ store: MemoryStore) { self.store = store }

    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome {
        store.change(partition) { record, _ in record.takeOver(partition, under: history, by: owner) }
    }

    func apply(_ batch: Batch) async throws -> ApplyOutcome {
        try store.failBefore()
        let outcome = store.change(batch.permit.partition) { record, orders in
            let outcome = record.advance(over: batch)
            if outcome == .applied { orders += batch.applied.map(\.change.id) }
            return outcome
        }
        try store.failBehind()
        return outcome
    }
}

/// A sink with a mistake that people make.
final class BadSink: Sink, Sendable {
    enum Mistake: String, CaseIterable, Sendable {
        /// Effects first, the position in a step of its own.
        case positionOutside
        /// It compares no tokens.
        case ignoresTokens
        /// The position first, which is what acknowledging first comes to.
        case acknowledgesFirst
    }

    private let store: MemoryStore
    private let mistake: Mistake

    init(_ store: MemoryStore, _ mistake: Mistake) {
        self.store = store
        self.mistake = mistake
    }

    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome {
        store.change(partition) { record, _ in record.takeOver(partition, under: history, by: owner) }
    }

    func apply(_ batch: Batch) async throws -> ApplyOutcome {
        let partition = batch.permit.partition
        switch mistake {
        case .positionOutside:
            var record = store.record(of: partition)
            let outcome = record.advance(over: batch)
            guard outcome == .applied else { return outcome }
            await append(batch)
            return store.change(partition) { record, _ in record.advance(over: batch) }
        case .ignoresTokens:
            return store.change(partition) { record, orders in
                guard record.seq == batch.first.number - 1 else {
                    return .positionMoved(to: Position.of(record))
                }
                record = SinkRecord(
                    epoch: record.epoch, seq: batch.last.number, entry: "", token: record.token, owner: record.owner)
                orders += batch.applied.map(\.change.id)
                return .applied
            }
        case .acknowledgesFirst:
            let outcome = store.change(partition) { record, _ in record.advance(over: batch) }
            if outcome == .applied { await append(batch) }
            return outcome
        }
    }

    private func append(_ batch: Batch) async {
        for entry in batch.applied {
            store.change(batch.permit.partition) { _, orders in orders.append(entry.change.id) }
            await Task.yield()
        }
    }
}

extension Position {
    fileprivate static func of(_ record: SinkRecord) -> Seq { Seq(record.seq) }
}
