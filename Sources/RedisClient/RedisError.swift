/// What can go wrong between this program and a Redis server.
///
/// Descriptions are for people: they say what happened, why and where. They never contain a password or a command's
/// arguments.
package enum RedisError: Error, Sendable, Equatable {
    /// The server can't be reached: no such host, connection refused, hung up.
    case connectionFailed(address: String, reason: String)
    /// The server is there, and gave us no session.
    ///
    /// `passes` says whether it will by itself: it has no room for another client, runs a script, or didn't answer in
    /// time; and not when there is no such database.
    case sessionFailed(address: String, reason: String, passes: Bool)
    /// The server is a replica, which takes no writes; its master is `host:port`.
    case isReplica(address: String, master: String)
    /// The server refused the user name or password, or wants one and got none.
    case authenticationFailed(address: String, reason: String)
    /// There is no TLS with the server as it was asked for: a certificate isn't accepted, a file can't be used, or one side
    /// doesn't speak it. Nothing was sent.
    case tlsFailed(address: String, reason: String)
    /// The deadline passed before the answer came to the command that `operation` names.
    case timedOut(operation: String, address: String)
    /// One node of a cluster did not do it; the others go on, and so does the connection.
    ///
    /// `outcomeIsUnknown` tells whether it may have been carried out all the same.
    case nodeFailed(address: String, reason: String, outcomeIsUnknown: Bool)
    /// The connection's interrupt was signalled while it waited.
    case interrupted
    /// The connection broke, or was unusable already.
    case connectionLost(address: String, reason: String)
    /// The server answered with an error.
    case reply(RedisReplyError)
    /// The server's answer is not what the protocol or the command promises.
    case protocolViolation(String)

    /// Whether the same may work on a later try, over a new connection unless the present one is usable.
    package var isRetriable: Bool {
        switch self {
        case .connectionFailed, .timedOut, .connectionLost, .isReplica, .nodeFailed: true
        case .sessionFailed(_, _, let passes): passes
        case .authenticationFailed, .tlsFailed, .interrupted, .protocolViolation: false
        case .reply(let error): error.isRetriable
        }
    }

    /// Whether the commands in flight may have been carried out although no answer came.
    ///
    /// When in doubt it is true. An interrupt or a lost connection is reported alike whether it hit before or after the
    /// bytes left; a connection that couldn't be opened carried nothing.
    package var outcomeIsUnknown: Bool {
        switch self {
        case .timedOut, .interrupted, .connectionLost, .protocolViolation: true
        case .nodeFailed(_, _, let isUnknown): isUnknown
        case .connectionFailed, .sessionFailed, .isReplica, .authenticationFailed, .tlsFailed, .reply: false
        }
    }
}

extension RedisError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .connectionFailed(let address, let reason): "cannot connect to Redis at \(address): \(reason)"
        case .sessionFailed(let address, let reason, _): "Redis at \(address) gave us no session: \(reason)"
        case .isReplica(let address, let master):
            "Redis at \(address) is a replica of \(master), and takes no writes. Point Onewrite at the master"
        case .authenticationFailed(let address, let reason): "Redis at \(address) refused to let us in: \(reason)"
        case .tlsFailed(let address, let reason): "no TLS with Redis at \(address): \(reason)"
        case .timedOut(let operation, let address): "Redis at \(address) did not answer in time to \(operation)"
        case .nodeFailed(let address, let reason, _): "a part of the Redis Cluster is away, at \(address): \(reason)"
        case .interrupted: "interrupted while waiting for Redis"
        case .connectionLost(let address, let reason): "lost the connection to Redis at \(address): \(reason)"
        case .reply(let error): "Redis answered with an error: \(error)"
        case .protocolViolation(let expectation): "unexpected answer from Redis: \(expectation)"
        }
    }
}

/// An error that the server sent as its answer.
///
/// Redis: <https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>
package struct RedisReplyError: Error, Sendable, Equatable {
    /// The first word, by which errors are told apart, as `WRONGTYPE`.
    package let code: String
    /// The rest of the text.
    package let message: String

    /// Parses the server's text.
    ///
    /// The arguments that Redis repeats when it doesn't know a command are left out: they can be secret.
    package init(text: String) {
        let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        code = parts.first.map(String.init) ?? ""
        let rest = parts.count > 1 ? String(parts[1]) : ""
        if let range = rest.firstRange(of: ", with args beginning with:") {
            message = String(rest[..<range.lowerBound])
        } else {
            message = rest
        }
    }

    /// Whether the cause may go away by itself, or by failing over, so that the same command may work later.
    package var isRetriable: Bool {
        switch code {
        case "LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "OOM", "MISCONF", "NOREPLICAS",
            "UNBLOCKED", "MOVED", "ASK":
            true
        // It has no code of its own.
        case "ERR": message.hasPrefix("max number of clients")
        default: false
        }
    }

    /// Whether this user may not do it: by itself, or, in a script's own words, within a script.
    package var isAboutRights: Bool {
        ["NOPERM", "NOAUTH", "WRONGPASS"].contains(code) || code == "EXECABORT" && message.contains("NOPERM")
            || Self.refusalsInScripts.contains(where: message.hasPrefix)
    }

    /// Redis 7.0's words, and those of later ones and Valkey.
    private static let refusalsInScripts = ["The user executing the script", "ACL failure in script"]

    /// The same with what was refused, where the server says only that something was.
    func refusing(_ command: String) -> RedisReplyError {
        code == "NOPERM" ? RedisReplyError(code: code, message: "\(message) (\(command))") : self
    }

    /// The same with the command on the script's line that the server names.
    package func refusing(in script: RedisScript) -> RedisReplyError {
        guard isAboutRights else { return self }
        if let number = message.firstMatch(of: /user_script:(\d+)/).flatMap({ Int($0.1) }) {
            let line = script.source.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(number - 1)
                .first
            if let command = line?.firstMatch(of: /call\('(\w+)'(?:, '([A-Z]+)')?/) {
                let name = command.1 + (command.2.map { " " + $0 } ?? "")
                let words = message.prefix(upTo: message.firstRange(of: " script: ")?.lowerBound ?? message.endIndex)
                return RedisReplyError(code: "NOPERM", message: "\(words): \(name), in the script \(script.name)")
            }
        }
        return RedisReplyError(code: "NOPERM", message: "\(message) (the script \(script.name))")
    }

    private init(code: String, message: String) {
        (self.code, self.message) = (code, message)
    }

    /// Whether an `EVALSHA` named a script that the server doesn't hold: nothing ran.
    package var isMissingScript: Bool { code == "NOSCRIPT" }
}

extension RedisReplyError: CustomStringConvertible {
    package var description: String { message.isEmpty ? code : "\(code) \(message)" }
}
