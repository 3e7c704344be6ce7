package import ChangeInput
package import Connections
import Coordination
import Faults
package import OrderLog
import RedisClient
import RedisLog
package import ThreadedIO

/// Appends changes to the log: in the input's order within a shop, each once, whatever breaks on the way.
///
/// Does what a ``SubmissionStateMachine`` names, for one lane, whose thread it blocks. Calls of several partitions travel
/// together, and are answered while the caller reads on.
package final class Submitter {
    package typealias End = SubmissionStateMachine.End

    private let servers: Servers
    /// The log.
    package let identity: LogIdentity
    private let durability: Durability
    private let interrupt: Interrupt
    private let isStopping: () -> Bool
    private let notice: (String) -> Void
    private let take: (RowReceipt) -> Void

    private var machine: SubmissionStateMachine
    private var link: Link
    /// For the level `applied`.
    private var ledgerConfirmation: LedgerConfirmation?

    /// Connects, and tries again until the settings' `timeout`; nothing is sent before it stands.
    ///
    /// - Parameters:
    ///   - servers: Where to.
    ///   - durability: What makes a change accepted; nil for what the settings say.
    ///   - interrupt: Ends its pauses.
    ///   - isStopping: Whether somebody asked it to stop, or to look up.
    ///   - triesAgain: Whether it tries again until the time-out to connect.
    ///   - inOrder: Whether receipts come in the input's order, or as soon as they can.
    ///   - keepsInput: Whether receipts carry the rows' text.
    ///   - notice: Takes a line for people, about what is waited for.
    ///   - take: Takes the receipts.
    /// - Throws: ``LogError``, ``StoreError``, ``RedisError``; `CancellationError` when it was asked to stop meanwhile.
    package init(
        _ servers: Servers, durability: Durability? = nil, interrupt: Interrupt, isStopping: @escaping () -> Bool,
        triesAgain: Bool = true, inOrder: Bool = true, keepsInput: Bool = false,
        notice: @escaping (String) -> Void, take: @escaping (RowReceipt) -> Void
    ) throws {
        let (level, timeout) = (durability ?? servers.configuration.durability, servers.configuration.timeout)
        (self.servers, self.durability, self.interrupt) = (servers, level, interrupt)
        (self.isStopping, self.notice, self.take) = (isStopping, notice, take)
        let connect = {
            // What only wakes a producer must not break its connecting.
            let connection = try servers.master(interrupt: triesAgain ? interrupt : nil)
            let identity = try servers.identity(connection)
            let link = try Link(
                connection, servers, of: identity, durability: level, until: .after(StreamLog.timeout))
            return (identity, link, level == .applied ? try LedgerConfirmation(servers, of: identity) : nil)
        }
        do {
            var patience = Patience(timeout, for: .allServers, interrupt: interrupt, notice: notice)
            (identity, link, ledgerConfirmation) = triesAgain ? try patience.attempt(connect) : try connect()
        } catch {
            if isStopping() { throw CancellationError() }
            throw LogError(anyOf: error)?.adding(". Not sent") ?? error
        }
        // Answers are waited for also by who was asked to stop.
        link.connection.interrupt = nil
        machine = SubmissionStateMachine(
            .init(timeout: timeout, durability: level, inOrder: inOrder, keepsInput: keepsInput),
            identity: identity, namespace: servers.keys.namespace, address: link.connection.address, at: .now)
    }

    package var end: End? { machine.end }
    /// Whether more changes are taken.
    package var canGoOn: Bool { machine.end == nil && !isStopping() }
    /// Whether it has a connection, as far as is known.
    package var isConnected: Bool { machine.isConnected }
    /// Whether every change has its receipt.
    package var isEmpty: Bool { machine.isEmpty }
    /// Whether nothing should be added before an outcome is known.
    package var isFull: Bool { machine.isFull }

    /// Takes a row; waits for answers when too much is under way.
    ///
    /// - Parameters:
    ///   - row: A change, or what is rejected.
    ///   - outcome: What is known of it, from Postgres; it isn't sent then.
    package func add(_ row: InputRow, known outcome: RowReceipt.Outcome? = nil) {
        guard let outcome else { return makeRoom(after: machine.add(row)) }
        machine.add(row, known: outcome)
        makeRoom(after: nil)
    }

    /// Takes a change that was given by flags, or by a caller.
    ///
    /// - Returns: Its number: how many were taken before it.
    @discardableResult
    package func add(_ change: Change, bytes: Int = 0) -> Int {
        let (number, full) = machine.add(change, bytes: bytes)
        makeRoom(after: full)
        return number
    }

    private func makeRoom(after full: Partition?) {
        if let full {
            // Receipts can wait: the server shouldn't.
            while canGoOn, machine.hasCall(full) { step(sendingAll: false) }
            if canGoOn {
                machine.makeCall(full, at: .now)
                if let due = machine.dueCalls(at: .now) { perform(.send(due)) }
            }
        }
        while canGoOn, machine.isFull { advance() }
        giveReceipts()
    }

    /// Returns when every change has its receipt, or ``canGoOn`` is false.
    package func settle() {
        while canGoOn, !machine.isEmpty { advance() }
    }

    /// Takes a step, and gives the receipts that it made possible.
    package func advance() {
        step(sendingAll: true)
        giveReceipts()
    }

    /// Looks which rows would be refused if they were sent now; nothing else is under way.
    ///
    /// - Parameter rows: In the input's order.
    /// - Returns: The index of the first that can't be taken, or whose ID the log, or a row before it, has with another payload; nil when
    ///   there is none, or ``canGoOn`` is false.
    package func refusedIndex(in rows: ArraySlice<InputRow>) -> Int? {
        machine.beginWaiting(at: .now)
        while canGoOn, !machine.hasRunOutOfTime(at: .now) {
            guard machine.isConnected else {
                step(sendingAll: false)
                continue
            }
            do throws(StoreError) {
                return try translatingRedisErrors { () throws(RedisError) in
                    try ConflictSearch(
                        redis: link.connection, keys: servers.keys, partitioning: identity.partitioning
                    ).firstIndex(in: rows, until: answerDeadline)
                }
            } catch {
                machine.failed(error, of: nil, at: .now)
                tidy()
            }
        }
        return nil
    }

    /// Ends the submission: every change has its receipt then.
    package func finish() {
        settle()
        // Who asked to stop waits for what is in the air, and for nothing that isn't.
        while machine.end == nil, machine.hasCalls { advance() }
        // What is answered has an outcome, also when it is a refusal.
        if case .failed = machine.end {
            while machine.isConnected, let owed = machine.nextOwed() { perform(owed) }
        }
        machine.abandon()
        giveReceipts()
        link.connection.close()
    }

    private func giveReceipts() {
        while let receipt = machine.nextReceipt() { take(receipt) }
    }

    // MARK: - One step

    private func step(sendingAll: Bool) {
        // It has done its work; what is waited for from now on is bounded.
        if isStopping(), machine.stop(at: .now) { interrupt.clear() }
        perform(machine.next(at: .now, sendingAll: sendingAll))
    }

    private func perform(_ action: SubmissionStateMachine.Action) {
        switch action {
        case .rest: break
        case .pause(let moment): interrupt.wait(until: Deadline(moment))
        case .connect: connect()
        case .send(let partitions): send(partitions)
        case .receive(let partition): receive(partition, withText: false)
        case .sendText(let partition): receive(partition, withText: true)
        case .ask(let limit): link.confirmation?.send(for: limit)
        case .receiveConfirmation: receiveConfirmation()
        case .askLedger: askLedger()
        }
        tidy()
    }

    /// What the machine has given up is closed, and what it has to say is said.
    private func tidy() {
        if !machine.isConnected { link.connection.close() }
        for text in machine.takeNotices() { notice(text) }
    }

    private func connect() {
        do {
            link = try Link(
                try servers.master(), servers, of: identity, durability: durability, until: answerDeadline)
            machine.connected(to: link.connection.address)
        } catch {
            machine.connectingFailed(
                LogError(anyOf: error) ?? LogError(.bug, "\(error)"),
                isReplica: StoreError(anyOf: error)?.kind == .replica, at: .now)
        }
    }

    private func send(_ partitions: [Partition]) {
        for partition in partitions {
            do throws(StoreError) {
                try pass(.beforeSend)
                machine.sending(partition)
                link.appender.send(machine.call(partition), to: partition)
                try translatingRedisErrors { () throws(RedisError) in
                    try link.connection.flush(until: answerDeadline)
                }
                try pass(.afterSend)
            } catch {
                return machine.failed(error, of: nil, at: .now)
            }
        }
    }

    private func receive(_ partition: Partition, withText: Bool) {
        do throws(StoreError) {
            guard withText else {
                let reply = try link.appender.receive(until: answerDeadline)
                try pass(.afterReply)
                return machine.answered(partition, reply, at: .now)
            }
            let reply = try link.appender.append(machine.call(partition), to: partition, until: answerDeadline)
            machine.answered(partition, reply, at: .now)
        } catch {
            machine.failed(error, of: partition, at: .now)
        }
    }

    private func receiveConfirmation() {
        guard let confirmation = link.confirmation else { return }
        do throws(StoreError) {
            let answer = try translatingRedisErrors { () throws(RedisError) in
                try confirmation.receive(until: answerDeadline)
            }
            try pass(.afterWait)
            machine.confirmed(answer, at: .now)
        } catch {
            machine.failed(error, of: nil, at: .now)
        }
    }

    private func askLedger() {
        let calls = machine.appended
        do {
            let answers = try ledgerConfirmation?.look(at: calls, until: answerDeadline) ?? []
            try pass(.afterWait)
            machine.ledgerAnswered(answers, of: calls, at: .now)
        } catch {
            let failure = LogError(anyOf: error) ?? LogError(.bug, "\(error)")
            let passes = !(error is LogError) && [.unreachable, .tryAgain].contains(failure.kind)
            machine.ledgerFailed(failure, passes: passes, at: .now)
        }
    }

    /// A place where a test can make this process fail, as if the connection had broken there.
    private func pass(_ point: FaultPoint) throws(StoreError) {
        do {
            try Faults.pass(point)
        } catch {
            throw StoreError(.redis, .unavailable, "\(error)", outcomeIsUnknown: true)
        }
    }

    /// How long one answer may take before it is asked for again.
    ///
    /// Never shorter than a moment, also at the end of the time: else the last of many tries at a closed log, cut off in
    /// the middle, would make an unknown outcome of one that is known.
    private var answerDeadline: Deadline {
        max(.after(.seconds(2)), min(.after(StreamLog.timeout), Deadline(machine.deadline)))
    }
}

/// A connection, and what goes over it.
private struct Link {
    let connection: RedisConnection
    let appender: Appender
    /// For the levels that Redis tells.
    let confirmation: RedisConfirmation?

    init(
        _ connection: RedisConnection, _ servers: Servers, of identity: LogIdentity, durability: Durability,
        until deadline: Deadline
    ) throws {
        self.connection = connection
        appender = Appender(
            connection, keys: servers.keys, identity: identity, window: servers.configuration.window)
        try appender.load(until: deadline)
        confirmation = try RedisConfirmation.of(
            durability, on: connection, keys: identity.partitioning.all.map(servers.keys.head), until: deadline)
    }
}
