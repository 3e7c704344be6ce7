/// Why Postgres, or the way to it, did not do what was asked.
///
/// Descriptions are for people, and hold no password, no URL, no SQL parameter and no row: of the server's message only
/// the first line and the names of the table and the constraint are kept.
package enum PostgresError: Error, Sendable, Equatable {
    /// The URL or keyword string is not one that libpq understands.
    case invalidConfiguration(reason: String)
    /// No session came about; nothing was sent.
    case connectionFailed(address: String, sqlState: String?, reason: String)
    /// The session is gone, and with it a transaction that was open; or it was closed, being out of step.
    case connectionLost(reason: String, outcomeIsUnknown: Bool)
    /// The deadline passed first.
    case timedOut(outcomeIsUnknown: Bool)
    /// The connection's interrupt was signalled first.
    case interrupted(outcomeIsUnknown: Bool)
    /// The server refused, or ended the session.
    case server(PostgresServerError)
    /// The statement was not sent, because Postgres can't hold the parameter.
    case invalidParameter(reason: String)
    /// A value was not of the expected form.
    case malformed(reason: String)
}

/// What the server says of a statement that it refused.
///
/// Error fields: <https://www.postgresql.org/docs/15/protocol-error-fields.html>
package struct PostgresServerError: Error, Sendable, Equatable {
    /// Five characters; the first two are the class.
    ///
    /// Codes: <https://www.postgresql.org/docs/15/errcodes-appendix.html>
    package let sqlState: String
    /// The primary message, without the values that it may quote.
    package let message: String
    /// The table, where the error is about one.
    package let table: String?
    /// The constraint, where the error is about one.
    package let constraint: String?
    /// Whether the server ended the session with it.
    package let endsSession: Bool
    /// Whether the statement may have taken effect: the session ended while a commit was under way.
    package let outcomeIsUnknown: Bool
}

extension PostgresError {
    /// The server's SQLSTATE, where it said one.
    package var sqlState: String? {
        switch self {
        case .server(let error): error.sqlState
        case .connectionFailed(_, let sqlState, _): sqlState
        default: nil
        }
    }

    /// Whether the same may succeed later, or on another connection.
    ///
    /// The cause is the connection, the server's state or another transaction; not what was asked.
    package var isRetriable: Bool {
        switch self {
        case .server(let error): Self.isRetriable(error.sqlState)
        case .connectionFailed(_, let sqlState, let reason):
            sqlState.map(Self.isRetriable) ?? !(isAboutRights || Self.isAboutSettings(reason))
        case .connectionLost, .timedOut: true
        case .invalidConfiguration, .interrupted, .invalidParameter, .malformed: false
        }
    }

    /// Whether what was asked might have happened all the same; only looking tells.
    package var outcomeIsUnknown: Bool {
        switch self {
        case .connectionLost(_, let isUnknown), .timedOut(let isUnknown), .interrupted(let isUnknown): isUnknown
        case .server(let error): error.outcomeIsUnknown
        case .invalidConfiguration, .connectionFailed, .invalidParameter, .malformed: false
        }
    }

    /// Whether the URL, or what it leads to, has to be changed.
    package var isAboutConfiguration: Bool {
        if case .invalidConfiguration = self { true } else { false }
    }

    /// Whether the server lets this role, or whoever has this password, do nothing of the kind.
    package var isAboutRights: Bool {
        switch self {
        case .connectionFailed(_, nil, let reason): reason.contains("no password supplied")
        // Of a pooler, which has one SQLSTATE for everything.
        case .connectionFailed(_, "08P01", let reason):
            reason.contains("authentication failed") || reason.contains("no such user")
        default: sqlState.map { $0.hasPrefix("28") || $0 == "42501" } ?? false
        }
    }

    /// Whether libpq says that the settings don't fit: the server has no TLS, a certificate is not the right one.
    ///
    /// There is no code for it, only libpq's text; it is English as long as nobody calls setlocale(3).
    private static func isAboutSettings(_ reason: String) -> Bool {
        // Names stand in quotation marks, and may be anything.
        let words = reason.replacing(/"[^"]*"/, with: "")
        return [
            "support SSL", "sslmode", "certificate", "private key", "GSSAPI", "channel binding",
            "definition of service",
            "invalid ",
        ].contains(where: words.contains)
    }

    private static func isRetriable(_ sqlState: String) -> Bool {
        switch sqlState {
        // Serialization failure, deadlock, lock timeout, cancelled (statement timeout), idle and transaction timeout.
        case "40001", "40P01", "55P03", "57014", "25P03", "25P04": true
        // Connection trouble, lack of resources, the server stopping or starting.
        default: ["08", "53"].contains(sqlState.prefix(2)) || sqlState.hasPrefix("57P0")
        }
    }
}

extension PostgresError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .invalidConfiguration(let reason):
            "the Postgres URL is not usable: \(reason)"
        case .connectionFailed(let address, _, let reason):
            "cannot connect to Postgres at \(address): \(reason)"
        case .connectionLost(let reason, let isUnknown):
            "lost the connection to Postgres: \(reason)" + Self.note(isUnknown)
        case .timedOut(let isUnknown):
            "Postgres did not answer in time" + Self.note(isUnknown)
        case .interrupted(let isUnknown):
            "interrupted while waiting for Postgres" + Self.note(isUnknown)
        case .server(let error):
            error.description
        case .invalidParameter(let reason):
            "not sent to Postgres: \(reason)"
        case .malformed(let reason):
            "unexpected answer from Postgres: \(reason)"
        }
    }

    fileprivate static func note(_ isUnknown: Bool) -> String {
        isUnknown ? "; whether the statement took effect is unknown" : ""
    }
}

extension PostgresServerError: CustomStringConvertible {
    package var description: String {
        var names = "SQLSTATE \(sqlState)"
        if let table { names += ", table \(table)" }
        if let constraint { names += ", constraint \(constraint)" }
        return "Postgres: \(message) (\(names))" + PostgresError.note(outcomeIsUnknown)
    }
}
