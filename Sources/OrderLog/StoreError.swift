/// A server that could not do what was asked of it.
///
/// The clients' errors, translated once. Refusals by token, epoch or lease are results, not errors.
package struct StoreError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Store: String, Sendable {
        case redis = "Redis"
        case postgres = "Postgres"
        /// A store of the user's.
        case own = "the store"
    }

    package enum Kind: Hashable, Sendable {
        /// The connection failed, or no answer came in time: a new one is needed.
        case unavailable
        /// One of several servers that hold the log together: the connection goes on with the others' partitions.
        case partUnavailable
        /// The server is there, and does nothing just now: it loads, starts, runs a script of somebody else's, or has no
        /// room for another client. Nothing was done; it is soon over, for all of it.
        case busy
        /// The server is a replica or a standby, which takes no writes; nothing was done. The address may lead to the master
        /// by now, on a new connection.
        case replica
        /// The server let nobody in: a wrong password, a missing right.
        case notPermitted
        /// Trying again can't help: no such database, an encoding that can't hold all names, TLS that isn't there.
        case misconfigured
        /// The wait was ended from outside.
        case interrupted
        /// The consumer group does not exist.
        case groupMissing
        /// The server refuses for now: out of memory, a lock, a full disk, a wrong type at a key.
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

    /// Whether the server knows who asks, and doesn't let them: `onewrite grants` prints what is missing.
    package var isMissingRight: Bool {
        kind == .notPermitted && (message.contains("NOPERM") || message.contains("SQLSTATE 42501"))
    }

    package var description: String {
        store == .own || message.contains(store.rawValue) ? message : "\(store.rawValue): \(message)"
    }
}
