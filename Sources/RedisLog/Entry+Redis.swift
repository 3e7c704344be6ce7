import OrderLog
import RedisClient

extension Entry {
    /// Decodes an entry of XRANGE, XREADGROUP or XAUTOCLAIM, `[ID, [name, value, …]]`; nil for one that was deleted.
    init?(reply: RedisReply) throws(RedisError) {
        let parts = try reply.requireArray(count: 2)
        guard let id = EntryID(try parts[0].requireString()) else {
            throw .protocolViolation("a stream ID, got another text")
        }
        if parts[1].isNull { return nil }
        let strings = try parts[1].requireArray()
        guard strings.count.isMultiple(of: 2) else { throw .protocolViolation("names and values by turns") }
        var decoder = EntryDecoder()
        for index in stride(from: 0, to: strings.count, by: 2) {
            strings[index].withBytes { name in
                strings[index + 1].withBytes { value in decoder.add(name: name, value: value) }
            }
        }
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
    func entries() throws(RedisError) -> [Entry] {
        if isNull { return [] }
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for reply in try requireArray() {
            if let entry = try Entry(reply: reply) { entries.append(entry) }
        }
        return entries
    }
}
