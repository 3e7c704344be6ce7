package import Logging
package import OrderLog
import Synchronization

/// What a worker's process tells people of outages, whichever of its threads meets them.
///
/// Safe from every thread.
package struct Outages: Sendable {
    private final class Book: Sendable {
        let state = Mutex(OutageBook())
    }

    private let logger: Logger
    private let book = Book()
    /// Whose trouble it is, in a process that serves several groups.
    private var group: Group?

    package init(logger: Logger) {
        self.logger = logger
    }

    /// The same book for one of several groups: a server's trouble is told once for all of them.
    package func of(_ group: Group) -> Outages {
        var outages = self
        outages.group = group
        return outages
    }

    private func whole(_ witness: Witness) -> Witness { group.map { .of($0, witness) } ?? witness }

    /// Partitions of two groups are told of apart.
    private func whole(_ subject: OutageSubject) -> OutageSubject {
        guard let group, case .partitions(let reason, let isHalted) = subject else { return subject }
        return .partitions(reason: "\(group): \(reason)", isHalted: isHalted)
    }

    /// A server, or the way to it, is in trouble, or something else is.
    ///
    /// - Parameters:
    ///   - error: What happened.
    ///   - what: What couldn't be done, for an error that is no server's.
    ///   - witness: Who met it.
    ///   - now: The moment.
    package func note(
        _ error: any Error, doing what: String, by witness: Witness, at now: ContinuousClock.Instant
    ) {
        if let error = error as? StoreError, error.isOfServer {
            let advice =
                error.isMissingRight && error.store != .own
                ? ". Run: onewrite grants \(error.store.rawValue.lowercased()) --role worker:\(group?.name ?? "GROUP")"
                : ""
            note(
                .server(error.store), error.description + advice, by: witness, isPressing: error.kind.needsPerson,
                at: now)
        } else {
            note(.other("\(what): \(error)"), "\(what): \(error)", by: witness, at: now)
        }
    }

    package func note(
        _ subject: OutageSubject, _ reason: String, by witness: Witness, isPressing: Bool = false,
        at now: ContinuousClock.Instant
    ) {
        let reason = if let group, case .partitions = subject { "\(group): \(reason)" } else { reason }
        // Written under the lock, so that a beginning comes before its end.
        book.state.withLock { book in
            write(
                book.note(whole(subject), reason, by: whole(witness), isPressing: isPressing, at: now).map { [$0] }
                    ?? [])
        }
    }

    /// As ``OutageBook/over(for:with:at:)``.
    package func over(
        for witness: Witness, with server: StoreError.Store? = nil, at now: ContinuousClock.Instant
    ) {
        book.state.withLock { book in write(book.over(for: whole(witness), with: server, at: now)) }
    }

    /// As ``OutageBook/forget(_:)``.
    package func forget(_ witness: Witness) {
        book.state.withLock { $0.forget(whole(witness)) }
    }

    private func write(_ lines: [OutageBook.Line]) {
        for line in lines {
            switch line.level {
            case .info: logger.info("\(line.text)")
            case .warning: logger.warning("\(line.text)")
            case .error: logger.error("\(line.text)")
            }
        }
    }
}

extension StoreError {
    /// Whether it concerns the whole server, and not only what was asked of it.
    var isOfServer: Bool {
        switch kind {
        case .unavailable, .interrupted, .busy, .replica, .misconfigured, .notPermitted: true
        case .refused, .groupMissing, .malformed, .partUnavailable: false
        }
    }
}

extension StoreError.Kind {
    /// Whether it doesn't pass by itself.
    fileprivate var needsPerson: Bool { [.replica, .misconfigured, .notPermitted].contains(self) }
}
