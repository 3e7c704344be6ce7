package import RedisClient
package import RedisLog

/// Commands that travel together; an answer is found by the ticket that asking gave.
package struct Questions {
    private(set) var commands: [RedisCommand] = []

    /// Adds a command.
    ///
    /// - Parameter command: What to ask.
    /// - Returns: The index of its reply.
    package mutating func ask(_ command: RedisCommand) -> Int {
        commands.append(command)
        return commands.count - 1
    }
}

/// What the Redis server says of itself.
package struct ServerFacts {
    /// The history that its replication stream has at present.
    package let replid: String
    package let isMaster: Bool
    /// Where its master is; nil when it is a master itself.
    package let master: String?
    /// nil when it doesn't say.
    package let evictionPolicy: String?
    /// In bytes; nil when it doesn't say.
    package let usedMemory: Int?
    /// In bytes; nil when there is no limit, or it doesn't say.
    package let maxMemory: Int?
    /// nil when it doesn't say.
    package let appendOnlyFile: AppendOnlyFile?

    /// The sections of INFO that are needed, one a command: several in one need Redis 7.
    package static let sections = ["replication", "memory", "persistence"]
    package static var questions: [RedisCommand] { sections.map { RedisCommand("INFO", $0) } }

    /// Reads the replies to INFO with each of ``sections``.
    ///
    /// Redis: <https://redis.io/docs/latest/commands/info/>
    package init(_ replies: some Collection<RedisReply>) throws(RedisError) {
        master = try replies.first?.masterOfReplica()
        var values: [Substring: Substring] = [:]
        for reply in replies {
            values.merge(try reply.requireInfo()) { _, last in last }
        }
        replid = values["master_replid"].map(String.init) ?? ""
        isMaster = master == nil
        evictionPolicy = values["maxmemory_policy"].map(String.init)
        usedMemory = values["used_memory"].flatMap { Int($0) }
        maxMemory = values["maxmemory"].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
        appendOnlyFile = AppendOnlyFile(values)
    }

    /// What several servers that hold a log together say: sums, and of what can be wrong the first that is.
    package init(ofAll servers: [ServerFacts]) {
        replid = servers.first?.replid ?? ""
        isMaster = servers.allSatisfy(\.isMaster)
        master = servers.lazy.compactMap(\.master).first
        let policies = servers.compactMap(\.evictionPolicy)
        evictionPolicy = policies.first { $0 != "noeviction" } ?? policies.first
        usedMemory = GroupFindings.sum(servers.map(\.usedMemory))
        maxMemory = GroupFindings.sum(servers.map(\.maxMemory))
        let files = servers.compactMap(\.appendOnlyFile)
        appendOnlyFile = files.first { !$0.isOn || $0.keepsOldTail } ?? files.first
    }
}

extension RedisReply {
    /// The text, with anything that is not UTF-8 replaced; nil for other types.
    package var repairedText: String? {
        bytes.map { String(decoding: $0, as: UTF8.self) }
    }

    /// A whole number, 0 or more, as an integer or as text.
    package var wholeNumber: Int? {
        (integer.map(Int.init) ?? string.flatMap { Int($0) }).flatMap { $0 >= 0 ? $0 : nil }
    }
}
