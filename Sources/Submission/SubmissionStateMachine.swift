package import ChangeInput
package import Connections
import Coordination
package import OrderLog
package import RedisLog

/// What a submission does next, whatever happens: no socket, no clock, no thread.
///
/// Takes changes and events, each with its moment, and names one action at a time; whoever holds it does that, and tells
/// how it went. A call without an answer is sent again, the same changes to the same partition, until `timeout` has passed
/// since the last progress; then its changes are ``RowReceipt/Outcome/unknown(_:)``, and ``end`` says why. The same goes for
/// a call that is answered, but not known to be as durable as wanted.
package struct SubmissionStateMachine {
    package typealias Instant = ContinuousClock.Instant

    /// Why a submission takes no more changes.
    package enum End {
        /// Somebody asked it to stop.
        case stopped
        /// Too long without an answer.
        case gaveUp(String)
        /// Trying again can't help.
        case failed(LogError)
    }

    /// What to do next.
    package enum Action: Equatable {
        /// Wait until then, or until something else comes.
        case pause(until: Instant)
        /// Connect anew; tell ``connected(to:at:)`` or ``connectingFailed(_:isReplica:at:)``.
        case connect
        /// Send these partitions' calls, each after ``sending(_:)``.
        case send([Partition])
        /// Receive the next answer, which is this partition's; tell ``answered(_:_:at:)``.
        case receive(Partition)
        /// Send this partition's call with the script's text, and receive its answer; nothing else is on the connection.
        case sendText(Partition)
        /// Send the question whether all that the connection carried is as durable as wanted.
        case ask(within: Duration)
        /// Receive the next answer, which is the question's; tell ``confirmed(_:at:)``.
        case receiveConfirmation
        /// Ask Postgres about the calls that are in the log; tell ``ledgerAnswered(_:of:at:)`` or ``ledgerFailed(_:passes:at:)``.
        case askLedger
        /// Nothing: every change has its outcome, or the submission is at its end.
        case rest
    }

    package struct Settings {
        /// Without progress for so long it gives up.
        package var timeout: Duration
        package var durability: Durability
        /// Whether receipts come in the input's order, or as soon as they can.
        package var inOrder = true
        /// Whether receipts carry the rows' text.
        package var keepsInput = false

        package init(timeout: Duration, durability: Durability, inOrder: Bool = true, keepsInput: Bool = false) {
            self.timeout = timeout
            self.durability = durability
            self.inOrder = inOrder
            self.keepsInput = keepsInput
        }
    }

    private enum Link {
        case connected
        /// The server takes no writes any more: nothing is sent, and once all is answered a new connection is needed.
        case refusing
        case lost(tryAt: Instant)
    }

    /// An answer that the connection owes.
    private enum Owed {
        case call(Partition)
        /// About all calls before it.
        case confirmation
    }

    /// How long answers are waited for once somebody asked to stop.
    package static let stopPatience: Duration = .seconds(5)
    private static let shortestLedgerPause: Duration = .milliseconds(5)
    private static let longestLedgerPause: Duration = .milliseconds(200)

    private let settings: Settings
    private let identity: LogIdentity
    private let namespace: String
    private var generator: any RandomNumberGenerator
    private(set) var queue: SubmissionQueue
    private var link = Link.connected
    private var address: String
    /// What is on the connection, in its order.
    private var owed: [Owed] = []
    /// Whether calls were sent, or found wanting, since Redis was asked for their durability last.
    private var needsQuestion = false
    private var ledgerAt: Instant
    private var ledgerPause = shortestLedgerPause
    private var backoff = Backoff(most: .seconds(1))
    private var progressAt: Instant
    private var stoppingSince: Instant?
    /// What keeps the calls from being answered, for the last word.
    private var obstacle = "no answer in time"
    private var told: Set<String> = []
    private var notices: [String] = []
    package private(set) var end: End?

    /// Begins with a connection.
    ///
    /// - Parameters:
    ///   - settings: What is wanted.
    ///   - identity: The log, as it was found.
    ///   - namespace: The log's, for messages.
    ///   - address: The server's, for messages.
    ///   - now: The moment.
    ///   - generator: Where the pauses' chance comes from.
    package init(
        _ settings: Settings, identity: LogIdentity, namespace: String, address: String, at now: Instant,
        generator: any RandomNumberGenerator = SystemRandomNumberGenerator()
    ) {
        self.settings = settings
        self.identity = identity
        self.namespace = namespace
        self.address = address
        self.generator = generator
        queue = SubmissionQueue(
            identity.partitioning, format: identity.format, keepsInput: settings.keepsInput, inOrder: settings.inOrder,
            durability: settings.durability)
        (progressAt, ledgerAt) = (now, now)
    }

    // MARK: - What it holds

    package var isStopping: Bool { stoppingSince != nil }
    /// Whether it has a connection, as far as is known.
    package var isConnected: Bool { if case .lost = link { false } else { true } }
    /// Whether every change has its receipt.
    package var isEmpty: Bool { queue.isEmpty }
    /// Whether nothing should be added before an outcome is known.
    package var isFull: Bool { queue.isFull }
    package var hasCalls: Bool { queue.hasCalls }

    /// Whether a partition has a call under way.
    package func hasCall(_ partition: Partition) -> Bool { queue.hasCall(partition) }

    /// What is sent to a partition that has a call: the same each time.
    package func call(_ partition: Partition) -> AppendCall { queue.call(partition) }

    /// The calls that are in the log, and not yet confirmed.
    var appended: [LedgerConfirmation.Call] { queue.appended }

    /// The next receipt; nil while no outcome is known.
    package mutating func nextReceipt() -> RowReceipt? { queue.nextReceipt() }

    /// What people should know, each line once.
    package mutating func takeNotices() -> [String] {
        guard !notices.isEmpty else { return [] }
        defer { notices = [] }
        return notices
    }

    // MARK: - What it takes

    /// Takes a row of the input.
    ///
    /// - Returns: The partition that has a whole call's changes waiting now.
    package mutating func add(_ row: InputRow) -> Partition? { queue.add(row) }

    /// Takes a row whose outcome is known, since Postgres has it.
    package mutating func add(_ row: InputRow, known outcome: RowReceipt.Outcome) { queue.add(row, known: outcome) }

    /// Takes a change that was not read from an input.
    ///
    /// - Returns: Its number, which is how many were taken before it; and the partition that has a whole call's changes
    ///   waiting now.
    package mutating func add(_ change: Change, bytes: Int) -> (number: Int, full: Partition?) {
        let number = queue.nextNumber
        return (number, queue.add(change, line: nil, input: nil, bytes: bytes))
    }

    /// Makes a call of the changes that wait for a partition; it has none.
    package mutating func makeCall(_ partition: Partition, at now: Instant) {
        // What was read after a long silence of the input starts its own time.
        if !queue.hasCalls { progressAt = now }
        queue.makeCall(partition)
    }

    /// Starts the time that something other than a call may take.
    package mutating func beginWaiting(at now: Instant) { progressAt = now }

    /// Somebody asked it to stop: what isn't sent is not sent, and what is waited for is bounded.
    ///
    /// - Returns: Whether it is the first to ask.
    package mutating func stop(at now: Instant) -> Bool {
        guard stoppingSince == nil else { return false }
        stoppingSince = now
        return true
    }

    // MARK: - What to do

    /// The next thing to do.
    ///
    /// - Parameters:
    ///   - now: The moment.
    ///   - sendingAll: Whether calls that could still grow are sent too.
    /// - Returns: What whoever holds this does now.
    package mutating func next(at now: Instant, sendingAll: Bool = true) -> Action {
        if sendingAll, !isStopping, end == nil {
            for partition in queue.partitionsWaiting { makeCall(partition, at: now) }
        }
        guard !hasRunOutOfTime(at: now) else { return .rest }
        if case .refusing = link, owed.isEmpty { loseConnection(at: now) }
        if case .lost(let tryAt) = link {
            return now < tryAt ? .pause(until: min(tryAt, deadline)) : .connect
        }
        if let due = dueCalls(at: now) { return .send(due) }
        guard queue.hasCalls else { return .rest }
        if needsQuestion {
            needsQuestion = false
            owed.append(.confirmation)
            return .ask(within: max(.zero, now.duration(to: deadline)))
        }
        if let owed = nextOwed() { return owed }
        if let forgotten = queue.calls(where: { $0.isScriptMissing }).first {
            queue.setState(.sent, of: forgotten)
            needsQuestion = settings.durability.isToldByRedis
            return .sendText(forgotten)
        }
        if settings.durability == .applied, !queue.calls(where: { $0.isAppended }).isEmpty, now >= ledgerAt {
            return .askLedger
        }
        var moments = queue.calls(where: { _ in true }).compactMap { queue.state($0).dueAt }
        if settings.durability == .applied { moments.append(ledgerAt) }
        return .pause(until: min(moments.min() ?? deadline, deadline))
    }

    /// The calls that can be sent now; nil when there are none, or no connection for them.
    package func dueCalls(at now: Instant) -> [Partition]? {
        guard case .connected = link else { return nil }
        let due = queue.calls(where: { $0.isDue(at: now) })
        return due.isEmpty ? nil : due
    }

    /// Receives the next answer that the connection owes; nil when it owes none.
    package mutating func nextOwed() -> Action? {
        guard !owed.isEmpty else { return nil }
        return switch owed.removeFirst() {
        case .call(let partition): .receive(partition)
        case .confirmation: .receiveConfirmation
        }
    }

    /// Whether the time for answers is over; ``end`` says so from then on.
    package mutating func hasRunOutOfTime(at now: Instant) -> Bool {
        guard end == nil, now >= deadline else { return end != nil }
        end = isStopping ? .stopped : .gaveUp(obstacle)
        return true
    }

    /// When it gives up, unless something goes well before.
    package var deadline: Instant {
        let timeoutAt = progressAt + settings.timeout
        return stoppingSince.map { min(timeoutAt, $0 + Self.stopPatience) } ?? timeoutAt
    }

    /// Every change gets its receipt: what has no outcome is unknown, or was not sent.
    package mutating func abandon() {
        if end == nil, isStopping { end = .stopped }
        let reason =
            switch end {
            case .gaveUp(let reason): reason
            case .failed(let failure): failure.message
            case .stopped, nil: "stopped"
            }
        queue.abandon(reason)
    }

    // MARK: - What happened

    /// A call is about to be written to the connection: from now on it may be in the log.
    package mutating func sending(_ partition: Partition) {
        queue.setState(.sent, of: partition)
        owed.append(.call(partition))
        needsQuestion = settings.durability.isToldByRedis
    }

    /// A new connection stands.
    package mutating func connected(to address: String) {
        self.address = address
        link = .connected
    }

    /// No connection could be had.
    ///
    /// - Parameters:
    ///   - error: Why.
    ///   - isReplica: Whether an address that led to the master leads to a replica: roles are being swapped.
    ///   - now: The moment.
    package mutating func connectingFailed(_ error: LogError, isReplica: Bool, at now: Instant) {
        if isReplica { tell("\(error.message). Trying again") }
        guard isReplica || [.unreachable, .tryAgain].contains(error.kind) else {
            end = .failed(error)
            return
        }
        obstacle = error.message
        link = .lost(tryAt: nextTry(now))
    }

    /// A call was answered.
    ///
    /// - Parameters:
    ///   - partition: Whose.
    ///   - reply: The answer; nil when the server has forgotten the script, and ran nothing.
    ///   - now: The moment.
    package mutating func answered(_ partition: Partition, _ reply: Appender.Reply?, at now: Instant) {
        switch reply {
        case .appended(let epoch, let results):
            guard results.count == queue.call(partition).count else {
                failed(
                    StoreError(.redis, .malformed, "unexpected answer from Redis: a result for each change"),
                    of: partition, at: now)
                return
            }
            queue.hold(partition, epoch: epoch, results)
            if settings.durability == .server { confirm([partition], at: now) }
        case .closed:
            postpone(
                partition, because: "the log is closed",
                telling: "the log is closed: waiting for a worker of group postgres to open it", at: now)
        case .noLog:
            refuse(
                partition, .tryAgain,
                "there is no log at \(namespace), partition \(partition), on Redis \(address). If Redis lost it: onewrite rebuild "
                    + "log; for a new one: onewrite init")
        case .mismatch:
            refuse(
                partition, .badConfiguration,
                "another log than \(identity.log) is at \(namespace) on Redis \(address) by now")
        case .counting(let shop):
            let reason = "what may be sold of shop \(FieldError.shown(shop)) is being counted anew"
            postpone(
                partition, because: reason, telling: "\(reason): waiting for a worker of group stock to end it", at: now
            )
        case .uncountable(let what):
            postpone(
                partition, because: "what may be sold can't be told: \(what)",
                telling: "what may be sold can't be told: \(what). onewrite repair says what can be done", at: now)
        case nil:
            queue.setState(.scriptMissing, of: partition)
        }
    }

    /// Redis has answered the question about all calls that were answered before it.
    mutating func confirmed(_ answer: RedisConfirmation.Answer, at now: Instant) {
        let appended = queue.calls(where: { $0.isAppended })
        switch answer {
        case .reached:
            if !appended.isEmpty { confirm(appended, at: now) }
        case .short(let text):
            guard !appended.isEmpty else { return }
            obstacle = text
            tell("\(text); waiting")
            needsQuestion = true
        case .uncertain(let text):
            failed(StoreError(.redis, .unavailable, text, outcomeIsUnknown: true), of: nil, at: now)
        }
    }

    /// Postgres has answered.
    ///
    /// - Parameters:
    ///   - answers: One for each call.
    ///   - calls: What it was asked about.
    ///   - now: The moment.
    mutating func ledgerAnswered(
        _ answers: [LedgerConfirmation.Answer], of calls: [LedgerConfirmation.Call], at now: Instant
    ) {
        for (call, answer) in zip(calls, answers) {
            switch answer {
            case .applied: confirm([call.partition], at: now)
            case .behind(let text): obstacle = text
            case .reopened:
                obstacle = "the log was opened anew, partition \(call.partition)"
                tell("\(obstacle): submitting the same again")
                queue.sendAgain(call.partition, in: .waiting(until: nextTry(now)))
            }
        }
        pauseLedger(at: now)
    }

    /// Postgres could not be asked.
    ///
    /// - Parameters:
    ///   - error: Why.
    ///   - passes: Whether it may be gone the next time.
    ///   - now: The moment.
    package mutating func ledgerFailed(_ error: LogError, passes: Bool, at now: Instant) {
        guard passes else {
            end = .failed(error)
            return
        }
        obstacle = error.message
        tell("\(obstacle); trying again")
        pauseLedger(at: now)
    }

    /// Something could not be sent or received.
    ///
    /// - Parameters:
    ///   - error: What happened.
    ///   - partition: Whose answer it is; nil when it is about the connection alone.
    ///   - now: The moment.
    package mutating func failed(_ error: StoreError, of partition: Partition?, at now: Instant) {
        switch error.kind {
        case .refused, .busy, .groupMissing, .replica:
            guard let partition else { fallthrough }
            if error.kind == .replica { link = .refusing }
            postpone(partition, because: error.message, telling: "\(error.message); trying again", at: now)
        case .unavailable, .partUnavailable, .interrupted:
            loseConnection(at: now)
            obstacle = error.message
            tell("\(error.message); trying again")
        case .notPermitted, .misconfigured:
            // Nothing was done.
            if let partition { queue.setState(.ready, of: partition) }
            end = .failed(LogError(error))
        case .malformed:
            end = .failed(LogError(error))
        }
    }

    // MARK: -

    /// The calls are in the log, and as durable as wanted.
    private mutating func confirm(_ partitions: [Partition], at now: Instant) {
        for partition in partitions { queue.confirm(partition) }
        progressAt = now
        backoff.reset()
        (ledgerPause, ledgerAt) = (Self.shortestLedgerPause, now)
        obstacle = "no answer in time"
    }

    private mutating func pauseLedger(at now: Instant) {
        guard !queue.calls(where: { $0.isAppended }).isEmpty else { return }
        ledgerAt = now + ledgerPause
        ledgerPause = min(ledgerPause * 2, Self.longestLedgerPause)
    }

    /// Nothing was done, and nothing will be.
    private mutating func refuse(_ partition: Partition, _ kind: LogError.Kind, _ message: String) {
        queue.setState(.ready, of: partition)
        end = .failed(LogError(kind, message))
    }

    private mutating func loseConnection(at now: Instant) {
        queue.loseConnection()
        owed.removeAll()
        needsQuestion = false
        link = .lost(tryAt: nextTry(now))
    }

    private mutating func postpone(
        _ partition: Partition, because reason: String, telling text: String, at now: Instant
    ) {
        obstacle = reason
        tell(text)
        queue.setState(.waiting(until: nextTry(now)), of: partition)
    }

    private mutating func nextTry(_ now: Instant) -> Instant { now + backoff.next(using: &generator) }

    /// Says a thing once.
    private mutating func tell(_ text: String) {
        if told.insert(text).inserted { notices.append(text) }
    }
}

extension Durability {
    /// Whether Redis is asked for it, on the connection that carried the changes.
    fileprivate var isToldByRedis: Bool {
        switch self {
        case .server, .applied: false
        case .fsync, .replicas: true
        }
    }
}
