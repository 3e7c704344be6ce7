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
/// For one lane, whose thread it blocks. Calls of several partitions travel together, and are answered while the caller
/// reads on. A call without an answer is sent again, the same changes to the same partition, until `timeout` has passed
/// since the last answer; then its changes are ``RowReceipt/Outcome/unknown(_:)``, and ``canGoOn`` is false. The same goes
/// for a call that is answered, but not known to be as durable as wanted.
package final class Submitter {
    /// Why a submission takes no more changes.
    package enum End {
        /// Somebody asked it to stop.
        case stopped
        /// Too long without an answer.
        case gaveUp(String)
        /// Trying again can't help.
        case failed(LogError)
    }

    /// An answer that the connection owes.
    private enum Awaited {
        case call(Partition)
        /// About all calls before it.
        case confirmation
    }

    /// How long answers are waited for once somebody asked to stop.
    private static let stopPatience: Duration = .seconds(5)
    private static let shortestLedgerPause: Duration = .milliseconds(5)
    private static let longestLedgerPause: Duration = .milliseconds(200)

    private let servers: Servers
    private let identity: LogIdentity
    private let timeout: Duration
    private let window: Duration
    private let durability: Durability
    private let interrupt: Interrupt
    private let isStopping: () -> Bool
    private let notice: (String) -> Void
    private let take: (RowReceipt) -> Void

    private var connection: RedisConnection
    private var appender: Appender
    /// For the levels that Redis tells.
    private var redisConfirmation: RedisConfirmation?
    /// For the level `applied`.
    private var ledgerConfirmation: LedgerConfirmation?
    private var queue: SubmissionQueue
    /// What is on the connection, in its order.
    private var sent: [Awaited] = []
    /// Whether calls were sent, or found wanting, since Redis was asked for their durability last.
    private var needsQuestion = false
    /// Whether the server takes no writes any more: a new connection is needed once all has been answered.
    private var isRefused = false
    private var ledgerPause = shortestLedgerPause
    private var backoff = Backoff(most: .seconds(1))
    private var progressAt = ContinuousClock.now
    private var stoppingSince: ContinuousClock.Instant?
    /// What keeps the calls from being answered, for the last word.
    private var obstacle = "no answer in time"
    private var told: Set<String> = []
    package private(set) var end: End?

    /// Connects, and tries again until the settings' `timeout`; nothing is sent before it stands.
    ///
    /// - Parameters:
    ///   - servers: Where to.
    ///   - interrupt: Ends its pauses.
    ///   - isStopping: Whether somebody asked it to stop, or to look up.
    ///   - triesAgain: Whether it tries again until the time-out to connect.
    ///   - inOrder: Whether receipts come in the input's order, or as soon as they can.
    ///   - keepsInput: Whether receipts carry the rows' text.
    ///   - notice: Takes a line for people, about what is waited for.
    ///   - take: Takes the receipts, in the input's order.
    /// - Throws: ``LogError``, ``StoreError``, ``RedisError``; `CancellationError` when it was asked to stop meanwhile.
    package init(
        _ servers: Servers, interrupt: Interrupt, isStopping: @escaping () -> Bool, triesAgain: Bool = true,
        inOrder: Bool = true, keepsInput: Bool = false, notice: @escaping (String) -> Void,
        take: @escaping (RowReceipt) -> Void
    ) throws {
        self.servers = servers
        self.interrupt = interrupt
        self.isStopping = isStopping
        self.notice = notice
        self.take = take
        timeout = servers.configuration.timeout
        window = servers.configuration.window
        durability = servers.configuration.durability
        let (durability, window) = (durability, window)
        let connect = {
            // What only wakes a producer must not break its connecting.
            let connection = try servers.master(interrupt: triesAgain ? interrupt : nil)
            let identity = try servers.identity(connection)
            let appender = Appender(connection, keys: servers.keys, identity: identity, window: window)
            try appender.load(until: .after(StreamLog.timeout))
            let confirmation = try RedisConfirmation.of(
                durability, on: connection, until: .after(StreamLog.timeout))
            let ledger = durability == .applied ? try LedgerConfirmation(servers, of: identity) : nil
            return (connection, identity, appender, confirmation, ledger)
        }
        do {
            var patience = Patience(timeout, for: .allServers, interrupt: interrupt, notice: notice)
            (connection, identity, appender, redisConfirmation, ledgerConfirmation) =
                triesAgain ? try patience.attempt(connect) : try connect()
        } catch {
            if isStopping() { throw CancellationError() }
            throw LogError(anyOf: error)?.adding(". Not sent") ?? error
        }
        // Answers are waited for also by who was asked to stop.
        connection.interrupt = nil
        queue = SubmissionQueue(identity.partitioning, keepsInput: keepsInput, inOrder: inOrder, durability: durability)
    }

    /// Whether more changes are taken.
    package var canGoOn: Bool { end == nil && !isStopping() }

    /// Whether it has a connection, as far as is known.
    package var isConnected: Bool { connection.isUsable }
    /// Whether every change has its receipt.
    package var isEmpty: Bool { queue.isEmpty }
    /// Whether nothing should be added before an outcome is known.
    package var isFull: Bool { queue.isFull }

    /// Takes a row; waits for answers when too much is under way.
    package func add(_ row: InputRow) {
        room(after: queue.add(row))
    }

    /// Takes a change that was given by flags.
    ///
    /// - Returns: Its number: how many were taken before it.
    @discardableResult
    package func add(_ change: Change, bytes: Int = 0) -> Int {
        let number = queue.nextNumber
        room(after: queue.add(change, line: nil, input: nil, bytes: bytes))
        return number
    }

    private func room(after full: Partition?) {
        if let full {
            // Receipts can wait: the server shouldn't.
            while canGoOn, queue.hasCall(full) { step(sendingAll: false) }
            if canGoOn { begin(full) }
        }
        while canGoOn, queue.isFull { advance() }
        giveReceipts()
    }

    /// Returns when every change has its receipt, or ``canGoOn`` is false.
    package func settle() {
        while canGoOn, !queue.isEmpty { advance() }
    }

    /// Looks which rows would be refused if they were sent now; nothing else is under way.
    ///
    /// - Parameter rows: In the input's order.
    /// - Returns: The index of the first that can't be taken, or whose ID the log, or a row before it, has with another payload; nil when
    ///   there is none, or ``canGoOn`` is false.
    package func refusedIndex(in rows: ArraySlice<InputRow>) -> Int? {
        progressAt = .now
        while canGoOn, !hasRunOutOfTime() {
            guard connection.isUsable || reconnect() else { continue }
            do throws(StoreError) {
                return try translatingRedisErrors { () throws(RedisError) in
                    try ConflictSearch(redis: connection, keys: servers.keys, partitioning: identity.partitioning)
                        .firstIndex(in: rows, until: answerDeadline)
                }
            } catch {
                handle(error, of: nil)
                obstacle = error.message
                if end == nil, connection.isUsable { pause(until: nextTry()) }
            }
        }
        return nil
    }

    /// Ends the submission: every change has its receipt then.
    package func finish() {
        settle()
        // Who asked to stop waits for what is in the air, and for nothing that isn't.
        while end == nil, queue.hasCalls { advance() }
        // What is answered has an outcome, also when it is a refusal.
        if case .failed = end { while connection.isUsable, !sent.isEmpty { receive() } }
        if end == nil, isStopping() { end = .stopped }
        queue.abandon(reasonOfEnd)
        giveReceipts()
        connection.close()
    }

    private var reasonOfEnd: String {
        switch end {
        case .gaveUp(let reason): reason
        case .failed(let failure): failure.message
        case .stopped, nil: "stopped"
        }
    }

    private func giveReceipts() {
        while let receipt = queue.nextReceipt() { take(receipt) }
    }

    // MARK: - One step

    /// Takes a step, and gives the receipts that it made possible.
    package func advance() {
        step(sendingAll: true)
        giveReceipts()
    }

    /// Does the next thing that can be done, and waits for it.
    ///
    /// - Parameter sendingAll: Whether calls that could still grow are sent too.
    private func step(sendingAll: Bool) {
        if sendingAll, !isStopping() {
            for partition in queue.partitionsWaiting { begin(partition) }
        }
        guard !hasRunOutOfTime() else { return }
        if isRefused, sent.isEmpty { disconnect() }
        guard connection.isUsable || reconnect() else { return }
        for partition in queue.calls(where: { $0.isDue }) { send(partition) }
        guard end == nil, connection.isUsable, queue.hasCalls else { return }
        if needsQuestion { ask() }
        if !sent.isEmpty {
            receive()
        } else if let forgotten = queue.calls(where: { $0.isScriptMissing }).first {
            appendWithText(forgotten)
        } else if durability == .applied, !queue.calls(where: { $0.isAppended }).isEmpty {
            askLedger()
        } else {
            pauseUntilDue()
        }
    }

    private func begin(_ partition: Partition) {
        // What was read after a long silence of the input starts its own time.
        if !queue.hasCalls { progressAt = .now }
        queue.makeCall(partition)
        if connection.isUsable { send(partition) }
    }

    private func send(_ partition: Partition) {
        guard connection.isUsable, !isRefused else { return }
        do throws(StoreError) {
            try pass(.beforeSend)
            appender.send(queue.call(partition), to: partition)
            queue.setState(.sent, of: partition)
            sent.append(.call(partition))
            needsQuestion = redisConfirmation != nil
            try translatingRedisErrors { () throws(RedisError) in try connection.flush(until: answerDeadline) }
            try pass(.afterSend)
        } catch {
            handle(error, of: nil)
        }
    }

    private func receive() {
        switch sent.removeFirst() {
        case .call(let partition): receiveAnswer(to: partition)
        case .confirmation: receiveConfirmation()
        }
    }

    private func receiveAnswer(to partition: Partition) {
        do throws(StoreError) {
            let reply = try appender.receive(until: answerDeadline)
            try pass(.afterReply)
            if let reply {
                try settle(partition, reply)
            } else {
                queue.setState(.scriptMissing, of: partition)
            }
        } catch {
            handle(error, of: partition)
        }
    }

    /// The connection carries nothing else at this moment.
    private func appendWithText(_ partition: Partition) {
        queue.setState(.sent, of: partition)
        needsQuestion = redisConfirmation != nil
        do throws(StoreError) {
            try settle(
                partition, try appender.append(queue.call(partition), to: partition, until: answerDeadline))
        } catch {
            handle(error, of: partition)
        }
    }

    private func settle(_ partition: Partition, _ reply: Appender.Reply) throws(StoreError) {
        switch reply {
        case .appended(let epoch, let results):
            guard results.count == queue.call(partition).count else {
                throw StoreError(.redis, .malformed, "unexpected answer from Redis: a result for each change")
            }
            queue.hold(partition, epoch: epoch, results)
            if durability == .server { confirm([partition]) }
        case .closed:
            postpone(
                partition, because: "the log is closed",
                telling: "the log is closed: waiting for a worker of group postgres to open it")
        case .noLog:
            end = .failed(
                LogError(
                    .tryAgain,
                    "there is no log at \(servers.keys.namespace), partition \(partition), on Redis \(connection.address). "
                        + "Run: onewrite init"))
        case .mismatch:
            end = .failed(
                LogError(
                    .badConfiguration,
                    "another log than \(identity.log) is at \(servers.keys.namespace) on Redis \(connection.address) by now"
                ))
        }
    }

    // MARK: - Durability

    /// The calls are in the log, and as durable as wanted.
    private func confirm(_ partitions: [Partition]) {
        for partition in partitions { queue.confirm(partition) }
        progressAt = .now
        backoff.reset()
        ledgerPause = Self.shortestLedgerPause
        obstacle = "no answer in time"
    }

    /// Asks Redis about all calls that the connection has carried so far.
    private func ask() {
        redisConfirmation?.send(for: max(.zero, ContinuousClock.now.duration(to: deadline)))
        sent.append(.confirmation)
        needsQuestion = false
    }

    private func receiveConfirmation() {
        guard let redisConfirmation else { return }
        do throws(StoreError) {
            let answer = try translatingRedisErrors { () throws(RedisError) in
                try redisConfirmation.receive(until: answerDeadline)
            }
            try pass(.afterWait)
            // Answers come in order: the question was behind every call that is answered by now.
            let appended = queue.calls(where: { $0.isAppended })
            switch answer {
            case .reached:
                if !appended.isEmpty { confirm(appended) }
            case .short(let text):
                guard !appended.isEmpty else { return }
                obstacle = text
                tell("\(text); waiting")
                needsQuestion = true
            case .uncertain(let text):
                throw StoreError(.redis, .unavailable, text, outcomeIsUnknown: true)
            }
        } catch {
            handle(error, of: nil)
        }
    }

    /// Asks Postgres about all calls that are in the log; the connection to Redis carries nothing at this moment.
    private func askLedger() {
        let calls = queue.appended
        do {
            let answers = try ledgerConfirmation?.look(at: calls, until: answerDeadline) ?? []
            try pass(.afterWait)
            for (call, answer) in zip(calls, answers) {
                switch answer {
                case .applied: confirm([call.partition])
                case .behind(let text): obstacle = text
                case .reopened:
                    obstacle = "the log was opened anew, partition \(call.partition)"
                    tell("\(obstacle): submitting the same again")
                    queue.sendAgain(call.partition, in: .waiting(until: nextTry()))
                }
            }
        } catch {
            guard let failure = LogError(anyOf: error), [.unreachable, .tryAgain].contains(failure.kind),
                !(error is LogError)
            else {
                end = .failed(LogError(anyOf: error) ?? LogError(.bug, "\(error)"))
                return
            }
            obstacle = failure.message
            tell("\(obstacle); trying again")
        }
        guard !queue.calls(where: { $0.isAppended }).isEmpty else { return }
        pause(until: .now + ledgerPause)
        ledgerPause = min(ledgerPause * 2, Self.longestLedgerPause)
    }

    // MARK: - Trouble

    /// A place where a test can make this process fail, as if the connection had broken there.
    private func pass(_ point: FaultPoint) throws(StoreError) {
        do {
            try Faults.pass(point)
        } catch {
            throw StoreError(.redis, .unavailable, "\(error)", outcomeIsUnknown: true)
        }
    }

    /// - Parameters:
    ///   - error: What happened.
    ///   - partition: Whose answer it is; nil when it is about the connection alone.
    private func handle(_ error: StoreError, of partition: Partition?) {
        switch error.kind {
        case .unavailable, .interrupted:
            disconnect()
            obstacle = error.message
            tell("\(error.message); trying again")
        case .refused, .busy, .groupMissing, .replica:
            guard let partition else { return }
            if error.kind == .replica { isRefused = true }
            postpone(partition, because: error.message, telling: "\(error.message); trying again")
        case .notPermitted, .misconfigured:
            // It was refused, and so nothing was done.
            if let partition { queue.setState(.ready, of: partition) }
            end = .failed(LogError(anyOf: error) ?? LogError(.bug, error.message))
        case .malformed:
            end = .failed(LogError(anyOf: error) ?? LogError(.bug, error.message))
        }
    }

    private func disconnect() {
        connection.close()
        queue.loseConnection()
        sent.removeAll()
        (needsQuestion, isRefused) = (false, false)
    }

    private func postpone(_ partition: Partition, because reason: String, telling text: String) {
        obstacle = reason
        tell(text)
        queue.setState(.waiting(until: nextTry()), of: partition)
    }

    private func nextTry() -> ContinuousClock.Instant {
        var generator = SystemRandomNumberGenerator()
        return .now + backoff.next(using: &generator)
    }

    /// Says a thing once.
    private func tell(_ text: String) {
        if told.insert(text).inserted { notice(text) }
    }

    private func reconnect() -> Bool {
        let next = nextTry()
        pause(until: next)
        // Woken for something else than stopping: new changes are no reason to knock more often.
        while !isStopping(), ContinuousClock.now < min(next, deadline) {
            interrupt.clear()
            // Whoever asked to stop meanwhile has to be heard.
            if isStopping() { interrupt.signal() }
            pause(until: next)
        }
        guard !hasRunOutOfTime() else { return false }
        do {
            connection = try servers.master()
            appender = Appender(connection, keys: servers.keys, identity: identity, window: window)
            try appender.load(until: answerDeadline)
            redisConfirmation = try RedisConfirmation.of(durability, on: connection, until: answerDeadline)
            return true
        } catch {
            connection.close()
            guard let failure = LogError(anyOf: error) else {
                end = .failed(LogError(.bug, "\(error)"))
                return false
            }
            // An address that led to the master leads to a replica: roles are being swapped.
            let isSwapped = StoreError(anyOf: error)?.kind == .replica
            if isSwapped { tell("\(failure.message). Trying again") }
            if isSwapped || [.unreachable, .tryAgain].contains(failure.kind) {
                obstacle = failure.message
            } else {
                end = .failed(failure)
            }
            return false
        }
    }

    // MARK: - Time

    private var deadline: ContinuousClock.Instant {
        let timeoutAt = progressAt + timeout
        return stoppingSince.map { min(timeoutAt, $0 + Self.stopPatience) } ?? timeoutAt
    }

    /// How long one answer may take before it is asked for again.
    ///
    /// Never shorter than a moment, also at the end of the time: else the last of many tries at a closed log, cut off in
    /// the middle, would make an unknown outcome of one that is known.
    private var answerDeadline: Deadline {
        max(.after(.seconds(2)), min(.after(StreamLog.timeout), Deadline(deadline)))
    }

    private func hasRunOutOfTime() -> Bool {
        if isStopping(), stoppingSince == nil {
            stoppingSince = .now
            // It has done its work; what is waited for from now on is bounded.
            interrupt.clear()
        }
        guard end == nil, ContinuousClock.now >= deadline else { return end != nil }
        end = isStopping() ? .stopped : .gaveUp(obstacle)
        return true
    }

    private func pauseUntilDue() {
        let moments = queue.calls(where: { _ in true }).compactMap { queue.state($0).dueAt }
        pause(until: moments.min() ?? .now)
    }

    private func pause(until moment: ContinuousClock.Instant) {
        interrupt.wait(until: Deadline(min(moment, deadline)))
    }
}
