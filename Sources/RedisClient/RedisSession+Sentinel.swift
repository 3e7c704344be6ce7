package import ThreadedIO

// Where the master is, by its Sentinels.
//
// Redis: <https://redis.io/docs/latest/develop/reference/sentinel-clients/>
extension RedisSession {
    /// Whether this session's server is the one to work with, as far as others can tell.
    ///
    /// With a plain address it is: the address is the authority. Through Sentinels, when more than half of those that were
    /// named say so: some may be cut off together with a master that was replaced.
    ///
    /// - Parameter deadline: For all of it.
    /// - Returns: false when a majority names another server.
    /// - Throws: ``RedisError/connectionFailed(address:reason:)`` when no majority says the one or the other.
    package func isAuthoritative(until deadline: Deadline) throws(RedisError) -> Bool {
        guard case .master(_, let sentinels) = configuration.endpoint else { return true }
        var (votes, others) = ([String: Int](), [String]())
        for (index, sentinel) in sentinels.enumerated() {
            let share = deadline.share(of: sentinels.count - index)
            switch try Self.ask(sentinel, configuration, until: share, interrupt: interrupt) {
            case .success(let place): votes["\(place)", default: 0] += 1
            case .failure(let reason): others.append("\(reason)")
            }
        }
        let majority = sentinels.count / 2 + 1
        if let decided = votes.first(where: { $0.value >= majority }) { return decided.key == "\(server)" }
        let said = votes.map { "\($0.value) of \(sentinels.count) say \($0.key)" }.sorted() + others
        throw .connectionFailed(
            address: configuration.address,
            reason: "no majority of the Sentinels agrees: \(said.joined(separator: "; "))")
    }

    /// The same configuration with the server's own place; Sentinels are asked for it in turn until one tells.
    static func resolve(
        _ configuration: RedisConfiguration, until deadline: Deadline, interrupt: Interrupt?
    ) throws(RedisError) -> RedisConfiguration {
        guard case .master(_, let sentinels) = configuration.endpoint else { return configuration }
        var errors: [RedisError] = []
        for (index, sentinel) in sentinels.enumerated() {
            // One share is the server's own.
            let share = deadline.share(of: sentinels.count - index + 1)
            switch try ask(sentinel, configuration, until: share, interrupt: interrupt) {
            case .success(let place):
                var server = configuration
                server.endpoint = place
                return server
            case .failure(let error): errors.append(error)
            }
        }
        for case .authenticationFailed(let address, let reason) in errors {
            throw .authenticationFailed(address: "Sentinel \(address)", reason: reason)
        }
        for case .tlsFailed(let address, let reason) in errors {
            throw .tlsFailed(address: "Sentinel \(address)", reason: reason)
        }
        throw .connectionFailed(
            address: configuration.address, reason: errors.map { "\($0)" }.joined(separator: "; "))
    }

    /// A Sentinel may not know yet that its master became a replica.
    ///
    /// It is asked again on the next connection.
    func requireNamedMaster(until deadline: Deadline) throws(RedisError) {
        guard let master = try master(until: deadline) else { return }
        close()
        throw .connectionFailed(
            address: address, reason: "Sentinel names it as the master, and it says that it is a replica of \(master)")
    }

    /// Refuses a replica: what is written there is refused, and what is read may be old.
    ///
    /// - Throws: ``RedisError/isReplica(address:master:)``, and as ``call(_:until:)``.
    package func requireMaster(until deadline: Deadline) throws(RedisError) {
        guard let master = try master(until: deadline) else { return }
        close()
        throw .isReplica(address: address, master: master)
    }

    /// Where this server's master is, as `host:port`; nil when it is a master itself.
    ///
    /// Asked with `INFO`, which the log needs anyway; `ROLE` would be one more right for the user.
    private func master(until deadline: Deadline) throws(RedisError) -> String? {
        try call(RedisCommand("INFO", "replication"), until: deadline).masterOfReplica()
    }

    /// What one Sentinel says; only an interrupt is thrown.
    private static func ask(
        _ sentinel: RedisConfiguration.Endpoint, _ configuration: RedisConfiguration, until deadline: Deadline,
        interrupt: Interrupt?
    ) throws(RedisError) -> Result<RedisConfiguration.Endpoint, RedisError> {
        guard case .master(let name, _) = configuration.endpoint else {
            preconditionFailure("asked a Sentinel where none was named")
        }
        var asked = RedisConfiguration(
            sentinel, username: configuration.sentinelUsername, password: configuration.sentinelPassword)
        asked.clientName = configuration.clientName
        asked.tls = configuration.tls
        do throws(RedisError) {
            let connection = try RedisSession(connectingTo: asked, until: deadline, interrupt: interrupt)
            defer { connection.close() }
            let reply = try connection.call(RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name), until: deadline)
            if reply.isNull {
                return .failure(
                    .connectionFailed(address: "Sentinel \(sentinel)", reason: "it knows no master named \(name)"))
            }
            let parts = try reply.requireArray(count: 2)
            guard let port = Int(try parts[1].requireString()), (1...65535).contains(port) else {
                throw .protocolViolation("Sentinel \(sentinel): a port")
            }
            return .success(.tcp(host: try parts[0].requireString(), port: port))
        } catch .interrupted {
            throw .interrupted
        } catch {
            return .failure(error)
        }
    }
}

extension Deadline {
    /// The moment by which one of several who share what is left should be done.
    fileprivate func share(of count: Int) -> Deadline {
        min(self, .after(remaining / count))
    }
}
