package import OrderLog
package import RedisClient

extension Entry {
    /// Decodes an entry of XRANGE, XREADGROUP or XAUTOCLAIM, `[ID, [name, value, …]]`; nil for one that was deleted.
    init?(reply: RedisReply) throws(RedisError) {
        let parts = try reply.requireArray(count: 2)
        guard let id = parts[0].withBytes({ EntryID(text: $0) }) else {
            throw .protocolViolation("a stream ID, got another text")
        }
        if parts[1].isNull { return nil }
        var decoder = EntryDecoder()
        try parts[1].forEachPair { decoder.add(name: $0, value: $1) }
        let strings = parts[1].elements
        self = decoder.finish(id: id) {
            stride(from: 0, to: min(strings.count, 2 * Limits.deadLetterFieldsMax), by: 2).map { index in
                EntryField(name: Self.cut(strings[index]), value: Self.cut(strings[index + 1]))
            }
        }
    }

    private static func cut(_ reply: RedisReply) -> [UInt8] {
        reply.withBytes { Array($0.prefix(Limits.deadLetterValueBytesMax)) }
    }
}

extension RedisReply {
    /// The entries of a reply that is a list of them.
    package func entries() throws(RedisError) -> [Entry] {
        if isNull { return [] }
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for reply in try requireArray() {
            if let entry = try Entry(reply: reply) { entries.append(entry) }
        }
        return entries
    }
}
