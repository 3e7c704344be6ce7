import Connections
import Harness
import OrderLog
import RedisLog

@testable import Submission

/// A log, its ledger and one connection to it, in a few arrays: what a ``SubmissionStateMachine`` is played against.
struct FakeLog {
    /// How often, of a thousand, something goes wrong.
    struct Trouble {
        var lostRequest = 0
        var lostAnswer = 0
        var closed = 0
        var forgottenScript = 0
        var busy = 0
        var replica = 0
        var noConnection = 0
        /// Of what is not confirmed, when a connection is lost.
        var lostTail = 0
        var short = 0
    }

    struct Stored: Hashable {
        let id: String
        let digest: String
    }

    private enum Owed {
        case call(Appender.Reply?)
        case failure(StoreError)
        /// About so many entries of each partition.
        case confirmation([Int])
    }

    private(set) var entries: [[Stored]]
    private var epochs: [Int64]
    /// How many entries of each partition can't be lost any more.
    private var kept: [Int]
    private var owed: [Owed] = []
    private var isCut = false
    /// Whether the server has said that it takes no writes.
    private var hasRefused = false
    /// Where each change is.
    private var places: [[String: Int]]
    private(set) var problems: [String] = []
    var trouble: Trouble
    private var generator: SeededGenerator

    init(partitions: Int, trouble: Trouble, seed: UInt64) {
        entries = Array(repeating: [], count: partitions)
        epochs = Array(repeating: 1, count: partitions)
        kept = Array(repeating: 0, count: partitions)
        places = Array(repeating: [:], count: partitions)
        self.trouble = trouble
        generator = SeededGenerator(seed: seed)
    }

    // MARK: - The connection

    /// - Returns: Whether the write went well.
    mutating func send(_ changes: [Change], to partition: Partition) -> Bool {
        if hasRefused { problems.append("a replica was sent more") }
        if isCut { return false }
        if hits(trouble.lostRequest) {
            isCut = true
            return hits(500)
        }
        owed.append(answer(partition.number, changes))
        if hits(trouble.lostAnswer) { isCut = true }
        return true
    }

    private mutating func answer(_ number: Int, _ changes: [Change]) -> Owed {
        if hits(trouble.closed) { return .call(.closed) }
        if hits(trouble.forgottenScript) { return .call(nil) }
        if hits(trouble.busy) { return .failure(StoreError(.redis, .busy, "BUSY")) }
        if hits(trouble.replica) { return .failure(StoreError(.redis, .replica, "READONLY")) }
        let results = changes.map { change in
            let stored = Stored(id: change.id, digest: Digest(of: change).description)
            if let index = places[number][stored.id] {
                return result(entries[number][index] == stored ? .duplicate : .conflict, index + 1)
            }
            places[number][stored.id] = entries[number].count
            entries[number].append(stored)
            return result(.accepted, entries[number].count)
        }
        return .call(.appended(epoch: Epoch(epochs[number]), results))
    }

    private func result(_ outcome: Appender.Result.Outcome, _ seq: Int) -> Appender.Result {
        Appender.Result(outcome: outcome, seq: Seq(Int64(seq)), entry: EntryID(milliseconds: 1, counter: UInt64(seq)))
    }

    func place(_ id: String, in partition: Partition) -> Int? { places[partition.number][id] }

    mutating func ask() { owed.append(.confirmation(entries.map(\.count))) }

    private func lost() -> StoreError { StoreError(.redis, .unavailable, "lost", outcomeIsUnknown: true) }

    /// The next answer to a call, which one it is.
    mutating func receive() throws(StoreError) -> Appender.Reply? {
        guard !isCut, !owed.isEmpty else { throw lost() }
        switch owed.removeFirst() {
        case .call(let reply): return reply
        case .failure(let error):
            hasRefused = error.kind == .replica
            throw error
        case .confirmation:
            problems.append("an answer to a question was taken for a call's")
            return nil
        }
    }

    mutating func receiveConfirmation() throws(StoreError) -> RedisConfirmation.Answer {
        guard !isCut, !owed.isEmpty else { throw lost() }
        guard case .confirmation(let counts) = owed.removeFirst() else {
            problems.append("a call's answer was taken for one to a question")
            throw lost()
        }
        if hits(trouble.short) { return hits(100) ? .uncertain("role changed") : .short("0 of 1 replica") }
        for number in counts.indices { kept[number] = max(kept[number], min(counts[number], entries[number].count)) }
        return .reached
    }

    /// Postgres follows now and then; what it has can't be lost.
    mutating func look(at calls: [LedgerConfirmation.Call]) -> [LedgerConfirmation.Answer] {
        calls.map { call in
            let number = call.partition.number
            if Epoch(epochs[number]) != call.epoch { return .reopened }
            if hits(300) { kept[number] = entries[number].count }
            let isBehind = call.places.contains { $0.seq.number > kept[number] }
            return isBehind ? .behind("Postgres is behind") : .applied
        }
    }

    /// - Returns: Whether there is a new connection.
    mutating func connect() -> Bool {
        if hits(trouble.noConnection) { return false }
        for number in entries.indices where hits(trouble.lostTail) {
            let most = entries[number].count - kept[number]
            guard most > 0 else { continue }
            for _ in 0...below(most) { places[number][entries[number].removeLast().id] = nil }
            epochs[number] += 1
        }
        owed = []
        (isCut, hasRefused) = (false, false)
        return true
    }

    private mutating func hits(_ perMille: Int) -> Bool { perMille > 0 && below(1000) < perMille }

    private mutating func below(_ bound: Int) -> Int { Int(generator.next() >> 33) % bound }
}
