/// Whether a partition's log can be worked on, told from one look at it and, where there is one, the ledger's row.
package enum LogState: Hashable, Sendable {
    /// Open: the server's replid is the head's, and the head's epoch is the row's.
    case open(History)
    /// Restarted, promoted, or an opening that crashed: group `postgres` opens it.
    case closed
    /// An old master: another server has been opened since. Stay away.
    case superseded
    /// There is no log.
    case missing
    /// The head is of another log than this worker's.
    case mismatch(String)

    package var isOpen: Bool {
        if case .open = self { true } else { false }
    }

    /// Judges.
    ///
    /// - Parameters:
    ///   - look: The head and the server.
    ///   - row: The ledger's row; nil for groups without a connection to Postgres, which judge by Redis alone.
    ///   - identity: The log that the caller serves.
    package init(_ look: LogLook, row: LedgerRow?, identity: LogIdentity) {
        guard let head = look.head else {
            self = .missing
            return
        }
        guard head.log == identity.log, head.partitions == identity.partitioning.count else {
            self = .mismatch(
                "the log in Redis is another one (\(head.log), \(head.partitions.map(String.init) ?? "?") partitions) "
                    + "than the one that was initialised (\(identity.log), \(identity.partitioning.count) partitions)")
            return
        }
        guard let history = look.history else {
            self = .closed
            return
        }
        guard let row, row.epoch != history.epoch else {
            self = .open(history)
            return
        }
        let isSuperseded = history.epoch < row.epoch && row.replid != look.replid
        self = isSuperseded ? .superseded : .closed
    }
}
