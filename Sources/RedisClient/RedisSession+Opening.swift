import ThreadedIO

// Opening a session: the socket, then who we are.
extension RedisSession {
    static func connect(
        to configuration: RedisConfiguration, until deadline: Deadline, interrupt: Interrupt?
    ) throws(RedisError) -> HiredisContext {
        func failed(_ reason: String) -> RedisError {
            .connectionFailed(address: configuration.address, reason: reason)
        }
        let context: HiredisContext
        do { context = try HiredisContext(connectingTo: configuration.endpoint) } catch { throw failed(error.reason) }
        switch wait(for: .writing, on: context.descriptor, until: deadline, interrupt: interrupt) {
        case .ready: break
        case .timedOut: throw failed("no answer in time")
        case .interrupted: throw .interrupted
        }
        if let reason = context.connectError { throw failed(reason) }
        if configuration.host != nil {
            do { try context.keepAlive() } catch { throw failed(error.reason) }
        }
        if let tls = configuration.tls, let host = configuration.host {
            try secure(context, tls, host, configuration, until: deadline, interrupt: interrupt)
        }
        return context
    }

    /// Sets the session up in one round trip.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/hello/>
    func openSession(
        _ configuration: RedisConfiguration, until deadline: Deadline
    ) throws(RedisError) -> (clientID: Int64, serverName: String, serverVersion: String) {
        let commands = try opening(of: configuration)
        for command in commands { send(command) }
        var hello: RedisReply?
        for command in commands {
            // One by one: a server that has no room says so once, and hangs up.
            do { hello = try receive(until: deadline) } catch { throw opening(error, isFirst: hello == nil) }
            if let error = hello?.error {
                close()
                throw refusal(error, of: command)
            }
        }
        guard let hello, let id = try hello.field("id"), let version = try hello.field("version") else {
            throw .protocolViolation("\(address): HELLO without id and version")
        }
        let name = try hello.field("server")?.requireString() ?? "redis"
        return (try id.requireInteger(), name, try version.requireString())
    }

    /// `HELLO` comes last; without a version it leaves the protocol at RESP2.
    private func opening(of configuration: RedisConfiguration) throws(RedisError) -> [RedisCommand] {
        var commands: [RedisCommand] = []
        var password = configuration.password
        do throws(SecretFile.Trouble) {
            if let path = configuration.passwordFile { password = try SecretFile.read(path) }
        } catch {
            close()
            throw .sessionFailed(address: address, reason: error.description, passes: false)
        }
        if let password {
            var authentication = RedisCommand("AUTH")
            if let username = configuration.username { authentication.append(username) }
            authentication.append(password)
            commands.append(authentication)
        }
        if configuration.database != 0 { commands.append(RedisCommand("SELECT", configuration.database)) }
        if let name = configuration.clientName { commands.append(RedisCommand("CLIENT", "SETNAME", name)) }
        commands.append(RedisCommand("HELLO"))
        return commands
    }

    /// Whatever breaks before the session stands is a connection that could not be made.
    ///
    /// It `isFirst` where the server had said nothing before.
    private func opening(_ error: RedisError, isFirst: Bool) -> RedisError {
        let mayWantTLS = configuration.tls == nil && configuration.socketPath == nil
        return switch error {
        // The reason may be what the server said before it hung up.
        case .connectionLost(_, let reason) where RedisReplyError(text: reason).isRetriable:
            .sessionFailed(address: address, reason: reason, passes: true)
        case .connectionLost(_, let reason) where isFirst && mayWantTLS && HiredisContext.isHangUp(reason):
            .connectionFailed(
                address: address,
                reason:
                    "\(reason), before the server said a word. Should its port be for TLS: write rediss:// in the URL")
        case .connectionLost(_, let reason): .connectionFailed(address: address, reason: reason)
        // An alert of TLS.
        case .protocolViolation(let text) where isFirst && mayWantTLS && text.contains(#""\x15""#):
            .tlsFailed(address: address, reason: "the server speaks TLS at this port: write rediss:// in the URL")
        case .timedOut: .sessionFailed(address: address, reason: "connected, but no answer in time", passes: true)
        default: error
        }
    }

    private func refusal(_ error: RedisReplyError, of command: RedisCommand) -> RedisError {
        let isAboutRights = ["WRONGPASS", "NOAUTH", "NOPERM", "DENIED"].contains(error.code)
        // A server without a password answers `ERR AUTH <password> called without any password configured …`.
        if isAboutRights || error.message.hasPrefix("AUTH ") {
            return .authenticationFailed(address: address, reason: "\(error)")
        }
        // What passes is not about the command.
        let reason = error.isRetriable ? "\(error)" : "\(command.name) was answered with: \(error)"
        return .sessionFailed(address: address, reason: reason, passes: error.isRetriable)
    }
}
