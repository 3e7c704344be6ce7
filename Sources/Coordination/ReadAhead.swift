package import OrderLog

/// What a lane has read and not processed yet.
///
/// While a lane applies one batch, the next is read and decoded, and the server prepares the one behind it: as long as
/// somebody has more than was read, another read is under way. It never waits for entries, since commands that are sent
/// behind it would wait as well. Whom a read asks is ``ReadPlan``'s to say.
///
/// Entries are handed out with the session under which they were read. When that has ended meanwhile they are not
/// processed: they are pending, and whoever takes the partition over reclaims them.
package final class ReadAhead {
    /// What a read can be planned from.
    package struct Request {
        package let sessions: Sessions
        package let budget: ReadBudget
        package let now: ContinuousClock.Instant

        package init(sessions: Sessions, budget: ReadBudget, now: ContinuousClock.Instant) {
            self.sessions = sessions
            self.budget = budget
            self.now = now
        }
    }

    /// Entries of one partition.
    package struct Part {
        package let session: PartitionSession
        private var delivered: Delivered?
        private var decoded: Result<[Entry], any Error>?

        init(_ delivered: Delivered, _ session: PartitionSession) {
            self.session = session
            self.delivered = delivered
        }

        var isDecoded: Bool { decoded != nil }

        /// Decodes the entries, and lets go of the reply that holds them.
        mutating func decode() {
            guard let delivered else { return }
            decoded = Result { try delivered.entries() }
            self.delivered = nil
        }

        package func entries() throws -> [Entry] {
            try decoded?.get() ?? delivered?.entries() ?? []
        }
    }

    private let log: any LogPort
    private var plan = ReadPlan()
    private var parts: [Part] = []
    private var underWay: (read: ReadPlan.Read, sessions: Sessions)?
    private var asked: Set<Partition> = []
    private var failure: (any Error)?

    package init(_ log: any LogPort) {
        self.log = log
    }

    /// Whether nothing is in hand, and no read under way.
    package var isEmpty: Bool { parts.isEmpty && underWay == nil }

    /// Sees to it that something is in hand, if there is anything.
    ///
    /// - Parameters:
    ///   - request: For the reads that are begun here.
    ///   - wait: How long the server may wait for a first entry, when nobody is known to have any.
    /// - Throws: ``StoreError``, also of an earlier read ahead.
    package func fill(_ request: Request, wait: Duration) async throws {
        if let failure {
            self.failure = nil
            throw failure
        }
        // Ends: who brings nothing is asked no more.
        while parts.isEmpty, underWay != nil { try await receive(thenBegin: request) }
        let (served, budget, now) = (request.sessions.partitions, request.budget, request.now)
        let hadNothing = parts.isEmpty
        if let read = plan.others(of: served, within: budget, now: now) {
            try await ask(read, request.sessions, wait: .zero)
        }
        // Those that have work come to their turn although the others bring something each time.
        if underWay == nil, parts.isEmpty || hadNothing && plan.hasBusy {
            let read = plan.next(of: served, within: budget, now: now)
            try await ask(read, request.sessions, wait: read.isOfBusy ? .zero : wait)
        }
        try await begin(request)
    }

    /// Hands everything out that is in hand, one part after the other.
    package func take() -> Part? { parts.isEmpty ? nil : parts.removeFirst() }

    /// How many parts are in hand.
    package var count: Int { parts.count }

    /// Whether entries of a partition are in hand.
    package func holds(_ partition: Partition) -> Bool { parts.contains { $0.session.partition == partition } }

    /// The partitions that reads have asked since this was last called.
    package func takeAsked() -> Set<Partition> {
        defer { asked.removeAll(keepingCapacity: true) }
        return asked
    }

    /// Has a partition asked soon, since its log holds more than was read.
    package func expect(_ partition: Partition) { plan.expect(partition) }

    /// Asks a partition no more, until it is served again.
    package func forget(_ partition: Partition) { plan.forget(partition) }

    /// Does a piece of the work that lies ahead: decodes a part, or receives the read under way and begins another.
    ///
    /// An error is kept for ``fill(_:wait:)``.
    package func prepare(_ request: Request) async {
        if parts.allSatisfy(\.isDecoded) {
            do { try await receive(thenBegin: request) } catch { failure = error }
        }
        if let index = parts.firstIndex(where: { !$0.isDecoded }) { parts[index].decode() }
    }

    /// Receives the read under way, if there is one, and begins none: afterwards nothing is delivered any more.
    package func receiveLast() async throws { try await receive(thenBegin: nil) }

    private func receive(thenBegin next: Request?) async throws {
        guard let (read, sessions) = underWay else { return }
        underWay = nil
        accept(try await log.receiveRead(), of: read, sessions, served: next?.sessions)
        if let next { try await begin(next) }
    }

    private func ask(_ read: ReadPlan.Read, _ sessions: Sessions, wait: Duration) async throws {
        let delivered = try await log.read(from: read.partitions, limit: read.limit, wait: wait)
        accept(delivered, of: read, sessions, served: sessions)
    }

    private func begin(_ request: Request) async throws {
        guard underWay == nil, plan.hasMore else { return }
        let read = plan.next(of: request.sessions.partitions, within: request.budget, now: request.now)
        try await log.sendRead(from: read.partitions, limit: read.limit)
        underWay = (read, request.sessions)
    }

    /// - Parameters:
    ///   - delivered: What came.
    ///   - read: Of this read.
    ///   - sessions: Those under which it was read.
    ///   - served: Those of now.
    private func accept(_ delivered: [Delivered], of read: ReadPlan.Read, _ sessions: Sessions, served: Sessions?) {
        asked.formUnion(read.partitions)
        let served = delivered.filter { served?[$0.partition] != nil }
        plan.note(read, brought: served.map { ($0.partition, $0.count) })
        for part in delivered {
            guard let session = sessions[part.partition] else { continue }
            parts.append(Part(part, session))
        }
    }
}
