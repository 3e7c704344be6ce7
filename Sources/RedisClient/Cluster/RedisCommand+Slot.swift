extension RedisCommand {
    /// The slot of the command's first key; nil for one that has no key.
    ///
    /// All keys of a command are in one slot, or the server refuses it.
    var slot: HashSlot? {
        if let neighbour { return HashSlot(of: neighbour.utf8) }
        return keyPlace.flatMap { $0 < words.count ? HashSlot(of: words.bytes(at: $0)) : nil }
    }

    private var keyPlace: Int? {
        switch name {
        case "EVAL", "EVALSHA", "FCALL": words.count > 2 && words.bytes(at: 2).elementsEqual("0".utf8) ? nil : 3
        case "XGROUP", "XINFO", "MEMORY", "OBJECT": 2
        case "XREAD", "XREADGROUP":
            (1..<words.count).first { words.bytes(at: $0).elementsEqual("STREAMS".utf8) }.map { $0 + 1 }
        case "ACL", "ASKING", "BGREWRITEAOF", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "EXEC", "FLUSHALL",
            "FUNCTION", "HELLO", "INFO", "MULTI", "PING", "PUBSUB", "ROLE", "SCAN", "SCRIPT", "TIME", "WAIT", "WAITAOF":
            nil
        default: 1
        }
    }
}
