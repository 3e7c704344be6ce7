package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks

/// Why what was asked for was not done.
public struct LogError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What can be done about it.
    public enum Kind: String, Sendable {
        /// The answer is no: not found, refused, different.
        case no
        /// Redis or Postgres can't be reached, or does nothing just now.
        case unreachable
        /// Try again: timed out, the log isn't open, nothing can be said yet.
        case tryAgain
        /// A server lets nobody in: a wrong password, a missing right.
        case notPermitted
        /// Trying again can't help: a URL, a setting or a server's own settings have to change.
        case badConfiguration
        /// A mistake of ours.
        case bug
    }

    /// What can be done about it.
    public let kind: Kind
    /// What happened, why, and what to do next.
    ///
    /// Holds no secret and no part of a change but its ID.
    public let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// The message.
    public var description: String { message }

    /// The same with more behind its words.
    package func adding(_ text: String) -> LogError { LogError(kind, message + text) }

    /// The errors of the parts below in these terms; nil for others.
    package init?(anyOf error: any Error) {
        switch error {
        case let error as LogError: self = error
        case let refusal as LogCreation.Refusal:
            switch refusal {
            case .partitions, .twoLogs: self.init(.badConfiguration, "\(refusal)")
            case .halted, .waiting, .contended: self.init(.tryAgain, "\(refusal)")
            }
        case let error as RedisURLError: self.init(.badConfiguration, "the Redis URL (REDIS_URL): \(error)")
        default:
            guard let error = StoreError(anyOf: error) else { return nil }
            self.init(error)
        }
    }

    package init(_ error: StoreError) {
        let kind: Kind =
            switch error.kind {
            case .unavailable, .partUnavailable, .busy: .unreachable
            case .notPermitted: .notPermitted
            case .interrupted, .refused, .groupMissing: .tryAgain
            case .malformed, .misconfigured, .replica: .badConfiguration
            }
        self.init(kind, error.message)
    }
}

extension StoreError {
    /// The servers' errors in the domain's terms; nil for others.
    package init?(anyOf error: any Error) {
        switch error {
        case let error as StoreError: self = error
        case let error as RedisError: self.init(error)
        case let error as PostgresError: self.init(error)
        default: return nil
        }
    }
}
