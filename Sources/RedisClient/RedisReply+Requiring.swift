/// Decoders for replies whose shape the command promises.
///
/// They throw ``RedisError/reply(_:)`` where the server sent an error, and ``RedisError/protocolViolation(_:)`` where
/// it sent something else than promised. The message says what was expected and the shape of what came, not its content.
extension RedisReply {
    /// The text of a string or a status.
    package func requireString() throws(RedisError) -> String {
        guard let string else { throw mismatch("a string of UTF-8") }
        return string
    }

    /// The bytes of a string or a status.
    package func requireBytes() throws(RedisError) -> [UInt8] {
        guard let bytes else { throw mismatch("a string") }
        return bytes
    }

    /// The number of an integer reply.
    package func requireInteger() throws(RedisError) -> Int64 {
        guard let integer else { throw mismatch("an integer") }
        return integer
    }

    /// The elements of an array, which must have `expected` of them unless that is nil.
    package func requireArray(count expected: Int? = nil) throws(RedisError) -> Elements {
        guard kind == .array, expected == nil || expected == count else {
            throw mismatch(expected.map { "an array of \($0)" } ?? "an array")
        }
        return elements
    }

    /// The fields of a section of `INFO`, by name.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/info/>
    package func requireInfo() throws(RedisError) -> [Substring: Substring] {
        var fields: [Substring: Substring] = [:]
        // Redis ends lines with CR LF, which Swift takes for one character.
        for line in try requireString().split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        return fields
    }

    /// The value that follows `name` in an array of names and values, nil when it has none.
    ///
    /// `HGETALL` and `HELLO` answer in this shape.
    package func field(_ name: String) throws(RedisError) -> RedisReply? {
        let pairs = try requireArray()
        guard pairs.count.isMultiple(of: 2) else { throw mismatch("an array of pairs") }
        for index in stride(from: 0, to: pairs.count, by: 2) {
            if pairs[index].withBytes({ $0.elementsEqual(name.utf8) }) { return pairs[index + 1] }
        }
        return nil
    }

    private func mismatch(_ expected: String) -> RedisError {
        error.map { .reply($0) } ?? .protocolViolation("expected \(expected), got \(self)")
    }
}

extension RedisReply {
    /// A field of a reply to `INFO`.
    ///
    /// - Throws: ``RedisError/protocolViolation(_:)`` when it isn't there.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/info/>
    package func infoField(_ name: String) throws(RedisError) -> String {
        guard let value = try requireInfo()[name[...]] else { throw .protocolViolation("\(name) in INFO") }
        return String(value)
    }

    /// Where the master is, as `host:port`, by a reply to `INFO replication`; nil when the server is a master itself.
    ///
    /// - Throws: As ``infoField(_:)``.
    package func masterOfReplica() throws(RedisError) -> String? {
        guard try infoField("role") != "master" else { return nil }
        let host = try infoField("master_host")
        return "\(host.contains(":") ? "[\(host)]" : host):\(try infoField("master_port"))"
    }
}
