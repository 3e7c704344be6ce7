import ChangeInput
import Connections
import Harness
import OrderLog
import RedisLog

@testable import Submission

/// Plays a ``SubmissionStateMachine`` against a ``FakeLog``, with a clock of its own.
struct Player {
    static let start = ContinuousClock.now
    private static let partitioning = {
        guard let partitioning = Partitioning(count: 3) else { preconditionFailure("three are not too many") }
        return partitioning
    }()

    var log: FakeLog
    var machine: SubmissionStateMachine
    private(set) var now = Self.start
    private(set) var receipts: [RowReceipt] = []
    private(set) var actions: [SubmissionStateMachine.Action] = []
    private(set) var added: [Change] = []
    private(set) var problems: [String] = []
    /// The rows of the last call of each partition.
    private var calls: [Partition: [Int]] = [:]
    /// How long a step takes.
    var slowness: Duration = .milliseconds(1)

    init(
        _ trouble: FakeLog.Trouble = .init(), durability: Durability = .server, timeout: Duration = .seconds(10),
        inOrder: Bool = true, seed: UInt64 = 1
    ) {
        log = FakeLog(partitions: Self.partitioning.count, trouble: trouble, seed: seed)
        machine = SubmissionStateMachine(
            .init(timeout: timeout, durability: durability, inOrder: inOrder),
            identity: LogIdentity(partitioning: Self.partitioning, log: "log"), namespace: "onewrite",
            address: "here", at: Self.start, generator: SeededGenerator(seed: seed))
    }

    static func partition(of change: Change) -> Partition { partitioning.partition(ofShop: change.shop) }

    static func change(_ number: Int, customer: String = "c") -> Change {
        let lines = ChangeDraft.DraftLines.text("TEA:1")
        // Seven shops, so that partitions have several.
        let draft = ChangeDraft(id: "o-\(number)", shop: "shop-\(number % 7)", customer: customer, lines: lines)
        do {
            return try Change(draft)
        } catch {
            preconditionFailure("\(error)")
        }
    }

    mutating func add(_ change: Change) {
        added.append(change)
        guard let full = machine.add(change, bytes: 10).full, machine.end == nil else { return }
        while machine.end == nil, machine.hasCall(full) { step(sendingAll: false) }
        if machine.end == nil { machine.makeCall(full, at: now) }
    }

    /// Steps until every change has its receipt, or the machine is at its end.
    mutating func settle() {
        while machine.end == nil, !machine.isEmpty { step() }
    }

    mutating func finish() {
        settle()
        while machine.end == nil, machine.hasCalls { step() }
        if case .failed = machine.end {
            while machine.isConnected, let owed = machine.nextOwed() { perform(owed) }
        }
        machine.abandon()
        takeReceipts()
    }

    mutating func step(sendingAll: Bool = true) {
        let action = machine.next(at: now, sendingAll: sendingAll)
        actions.append(action)
        perform(action)
        takeReceipts()
    }

    private mutating func takeReceipts() {
        while let receipt = machine.nextReceipt() { receipts.append(receipt) }
    }

    private mutating func perform(_ action: SubmissionStateMachine.Action) {
        now += slowness
        switch action {
        case .rest: break
        case .pause(let moment): now = max(now, moment)
        case .connect:
            if log.connect() { return machine.connected(to: "here") }
            machine.connectingFailed(LogError(.unreachable, "nobody there"), isReplica: false, at: now)
        case .send(let partitions):
            for partition in partitions {
                machine.sending(partition)
                guard send(partition) else {
                    return machine.failed(StoreError(.redis, .unavailable, "broken pipe"), of: nil, at: now)
                }
            }
        case .receive(let partition): receive(partition)
        case .sendText(let partition):
            guard send(partition) else {
                return machine.failed(StoreError(.redis, .unavailable, "broken pipe"), of: partition, at: now)
            }
            receive(partition)
        case .ask: log.ask()
        case .receiveConfirmation:
            do throws(StoreError) {
                machine.confirmed(try log.receiveConfirmation(), at: now)
            } catch {
                machine.failed(error, of: nil, at: now)
            }
        case .askLedger:
            let calls = machine.appended
            machine.ledgerAnswered(log.look(at: calls), of: calls, at: now)
        }
    }

    /// - Returns: Whether the write went well.
    private mutating func send(_ partition: Partition) -> Bool {
        let call = machine.queue.lanes[partition.number].call
        let last = calls[partition, default: []]
        // The one under way again, or one behind it.
        if call != last, let end = last.last, call[0] <= end { problems.append("\(call) was sent behind \(last)") }
        if call.count != machine.call(partition).count { problems.append("the text of \(call) is another's") }
        calls[partition] = call
        return log.send(call.map { added[$0] }, to: partition)
    }

    private mutating func receive(_ partition: Partition) {
        do throws(StoreError) {
            machine.answered(partition, try log.receive(), at: now)
        } catch {
            machine.failed(error, of: partition, at: now)
        }
    }
}
