package import OrderLog

/// What a lane has read and not processed yet.
///
/// While a lane applies one batch, the next is read and decoded, and the server prepares the one behind it: as long as
/// reads come back full, another is under way. A read under way never waits for entries, since commands that are sent
/// behind it would wait as well.
///
/// Entries are handed out with the session under which they were read. When that has ended meanwhile they are not
/// processed: they are pending, and whoever takes the partition over reclaims them.
package final class ReadAhead {
    /// Whom a read is for.
    package struct Request {
        package let sessions: [PartitionSession]
        /// The most entries of each partition.
        package let limit: Int

        package init(sessions: [PartitionSession], limit: Int) {
            self.sessions = sessions
            self.limit = limit
        }

        var partitions: [Partition] { sessions.map(\.partition) }
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
    private var parts: [Part] = []
    private var underWay: Request?
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
    ///   - wait: How long the server may wait for a first entry, when none is in hand.
    /// - Throws: ``StoreError``, also of an earlier read ahead.
    package func fill(_ request: Request, wait: Duration) async throws {
        if let failure {
            self.failure = nil
            throw failure
        }
        if parts.isEmpty { try await receive(thenBegin: request) }
        if parts.isEmpty {
            let delivered = try await log.read(from: request.partitions, limit: request.limit, wait: wait)
            try await accept(delivered, of: request, thenBegin: request)
        }
    }

    /// Hands everything out that is in hand, one part after the other.
    package func take() -> Part? { parts.isEmpty ? nil : parts.removeFirst() }

    /// How many parts are in hand.
    package var count: Int { parts.count }

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
        guard let request = underWay else { return }
        underWay = nil
        try await accept(try await log.receiveRead(), of: request, thenBegin: next)
    }

    private func accept(_ delivered: [Delivered], of request: Request, thenBegin next: Request?) async throws {
        for part in delivered {
            guard let session = request.sessions.first(where: { $0.partition == part.partition }) else { continue }
            parts.append(Part(part, session))
        }
        if let next, delivered.contains(where: { $0.count >= request.limit }) {
            try await log.sendRead(from: next.partitions, limit: next.limit)
            underWay = next
        }
    }
}
