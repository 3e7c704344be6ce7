/// A server that could not do what was asked of it.
///
/// The clients' errors, translated once. Refusals by token, epoch or lease are results, not errors.
package struct StoreError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Store: String, Sendable {
        case redis = "Redis"
        case postgres = "Postgres"
    }

    package enum Kind: Hashable, Sendable {
        /// The connection failed, or no answer came in time: a new one is needed.
        case unavailable
        /// The server let nobody in: a wrong password, a missing right.
        case notPermitted
        /// The wait was ended from outside.
        case interrupted
        /// The consumer group does not exist.
        case groupMissing
        /// The server refuses for now: loading, out of memory, a lock, a full disk, a wrong type at a key.
        case refused
        /// The server said what cannot be: a bug, here or there.
        case malformed
    }

    package let store: Store
    package let kind: Kind
    package let message: String
    /// Whether it may have happened all the same.
    package let outcomeIsUnknown: Bool

    package init(_ store: Store, _ kind: Kind, _ message: String, outcomeIsUnknown: Bool = false) {
        self.store = store
        self.kind = kind
        self.message = message
        self.outcomeIsUnknown = outcomeIsUnknown
    }

    package var description: String {
        message.contains(store.rawValue) ? message : "\(store.rawValue): \(message)"
    }
}
