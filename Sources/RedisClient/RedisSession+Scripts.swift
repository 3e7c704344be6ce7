package import ThreadedIO

extension RedisSession {
    /// Runs a script by its digest, and sends the source only where the server doesn't hold it.
    ///
    /// The digest is asked of the server at the first use in a session. When the server has dropped the script since,
    /// it runs nothing and says so; then the source is sent, once.
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - keys: `KEYS`.
    ///   - arguments: `ARGV`.
    ///   - deadline: For all of it.
    /// - Returns: What the script returned.
    /// - Throws: As ``call(_:until:)``; an error raised by the script is a ``RedisError/reply(_:)``, and what the script
    ///   wrote before it stays written.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/evalsha/>
    package func evaluate(
        _ script: RedisScript, keys: [String], arguments: RedisArguments = [], until deadline: Deadline
    ) throws(RedisError) -> RedisReply {
        let digest = try load(script, until: deadline)
        do {
            return try call(.evaluating("EVALSHA", digest, keys, arguments), until: deadline)
        } catch .reply(let error) where error.isMissingScript {
            return try call(.evaluating("EVAL", script.source, keys, arguments), until: deadline)
        } catch .reply(let error) {
            throw .reply(error.refusing(in: script))
        }
    }

    /// Queues a script; the caller receives the reply.
    ///
    /// By its digest after a ``load(_:until:)`` in this session, and then the reply may be an error whose
    /// ``RedisReplyError/isMissingScript`` is true: nothing ran. With its source otherwise.
    package func sendEvaluate(_ script: RedisScript, keys: [String], arguments: RedisArguments = []) {
        if let digest = digest(of: script) {
            send(.evaluating("EVALSHA", digest, keys, arguments))
        } else {
            send(.evaluating("EVAL", script.source, keys, arguments))
        }
    }

    /// Makes sure that the server got the script once in this session.
    ///
    /// - Returns: The SHA-1 of the source in hexadecimal digits, from the server.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/script-load/>
    @discardableResult
    package func load(_ script: RedisScript, until deadline: Deadline) throws(RedisError) -> String {
        if let digest = digest(of: script) { return digest }
        let digest = try call(RedisCommand("SCRIPT", "LOAD", script.source), until: deadline).requireString()
        digests[script.name] = (script.source, digest)
        return digest
    }

    /// Comparing the sources costs nothing where both are one and the same string.
    func digest(of script: RedisScript) -> String? {
        digests[script.name].flatMap { $0.source == script.source ? $0.digest : nil }
    }
}

extension RedisCommand {
    static func evaluating(
        _ name: String, _ script: String, _ keys: [String], _ arguments: RedisArguments
    ) -> RedisCommand {
        var command = RedisCommand(name, script, keys.count)
        command.append(contentsOf: keys)
        command.append(contentsOf: arguments)
        return command
    }
}
