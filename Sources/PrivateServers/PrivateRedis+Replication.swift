import ThreadedIO

/// Replicas, and promoting them.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/replication/>
extension PrivateRedis {
    /// Asks the server one thing.
    ///
    /// - Parameter words: The command and its arguments.
    /// - Returns: The reply's text.
    /// - Throws: ``ServerError/refused(operation:reason:)`` for an error reply, one that is no text, and no answer in time.
    @discardableResult
    package func ask(_ words: String...) async throws -> String { try await ask(words) }

    /// Asks the server one thing.
    ///
    /// - Parameter words: The command and its arguments.
    /// - Returns: The reply's text.
    /// - Throws: As with the words one by one.
    @discardableResult
    package func ask(_ words: [String]) async throws -> String {
        let (path, password) = (socketPath, password)
        let reply = await BlockingLane(name: "ask").run {
            askRedis(words, at: path, password: password, within: .seconds(10))
        }
        let name = words.prefix(1).joined()
        guard let reply else { throw ServerError.refused(operation: "ask Redis for \(name)", reason: "no answer") }
        guard !reply.hasPrefix("-") else {
            throw ServerError.refused(operation: "ask Redis for \(name)", reason: reply)
        }
        return reply
    }

    /// Asks the server one thing, and again for up to ten seconds while it loads its data.
    ///
    /// - Parameter words: The command and its arguments.
    /// - Returns: The reply's text.
    /// - Throws: As ``ask(_:)``; `CancellationError`.
    @discardableResult
    package func askLoaded(_ words: String...) async throws -> String {
        let deadline = Deadline.after(.seconds(10))
        while true {
            do {
                return try await ask(words)
            } catch ServerError.refused(_, let reason) where reason.hasPrefix("-LOADING") && !deadline.hasPassed {
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Makes this server a replica of another, and returns when it has all that the other has.
    ///
    /// - Parameter master: A server that listens on a port and has the same password.
    /// - Throws: ``ServerError`` when it has not caught up within half a minute; `CancellationError`.
    package func follow(_ master: PrivateRedis) async throws {
        guard let port = master.port else {
            throw ServerError.refused(operation: "follow a server", reason: "it listens on no port")
        }
        try await ask("CONFIG", "SET", "masterauth", master.password ?? "")
        try await ask("REPLICAOF", "127.0.0.1", "\(port)")
        try await catchUp(with: master)
    }

    /// Returns when this replica has all that its master has.
    ///
    /// - Parameter master: The server that it follows.
    /// - Throws: As ``follow(_:)``.
    package func catchUp(with master: PrivateRedis) async throws {
        let deadline = Deadline.after(PrivateServer.startLimit)
        while true {
            let wanted = try await master.replication("master_repl_offset").flatMap { Int($0) }
            let isLinked = try await replication("master_link_status") == "up"
            let reached = try await replication("slave_repl_offset").flatMap { Int($0) }
            if isLinked, let wanted, let reached, reached >= wanted { return }
            guard !deadline.hasPassed else {
                throw ServerError.refused(operation: "follow a server", reason: "not caught up in time: \(logTail)")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Cuts a replica off from its master: it keeps what it has, and gets nothing more.
    package func cutOff() async throws {
        // Nobody listens on port 1.
        try await ask("REPLICAOF", "127.0.0.1", "1")
    }

    /// Makes this server a master, with what it has.
    package func promote() async throws {
        try await ask("REPLICAOF", "NO", "ONE")
    }

    /// A value of `INFO replication`; nil when there is none of that name.
    package func replication(_ name: String) async throws -> String? {
        let lines = try await ask("INFO", "replication").split(whereSeparator: \.isNewline)
        return lines.first { $0.hasPrefix(name + ":") }.map { String($0.dropFirst(name.count + 1)) }
    }
}
