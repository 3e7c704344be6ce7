import Foundation
package import PrivateServers

/// Cuts the tail off a stopped Redis server's append-only file, as a power cut does, and knows what was in it.
package enum LostTail {
    private static let multi = Data("*1\r\n$5\r\nMULTI\r\n".utf8)

    /// Cuts off the last entries of the log, and everything that was written since the first of them.
    ///
    /// - Parameters:
    ///   - redis: A server that doesn't run.
    ///   - entries: The fewest entries to lose.
    /// - Returns: The changes whose entries were lost; with those that were written again by a healing.
    /// - Throws: `ServerError`; what Foundation throws.
    package static func cut(_ redis: PrivateRedis, losing entries: Int) throws -> [(shop: String, id: String)] {
        try cut(redis) { _ = try redis.cutAOF(losing: entries) }.lost
    }

    /// Cuts off bytes, wherever that goes through.
    ///
    /// - Parameters:
    ///   - redis: A server that doesn't run.
    ///   - bytes: How many.
    /// - Returns: The changes whose entries were lost, and whether half a transaction stands at the end now.
    /// - Throws: `ServerError`; what Foundation throws.
    package static func cut(
        _ redis: PrivateRedis, bytes: Int
    ) throws -> (lost: [(shop: String, id: String)], isInTransaction: Bool) {
        let (lost, rest) = try cut(redis) { try redis.cutAOF(bytes: bytes) }
        return (lost, isInTransaction(rest))
    }

    /// How far the end of a stopped server's append-only file is behind the middle of its last transaction.
    ///
    /// - Parameter redis: A server that doesn't run.
    /// - Returns: The bytes to cut, so that the cut goes through the first command behind a MULTI; nil when the file has
    ///   no transaction.
    /// - Throws: `ServerError`; what Foundation throws.
    package static func bytesBackIntoTransaction(_ redis: PrivateRedis) throws -> Int? {
        let data = try Data(contentsOf: URL(filePath: redis.aofPath()))
        // A byte of what follows must be there.
        let begins = data.range(of: multi, options: .backwards, in: 0..<max(0, data.count - 1))
        return begins.map { data.count - $0.upperBound - 1 }
    }

    /// Starts a server again, a second time where it refuses once: it was killed while it rewrote the file behind a cut.
    ///
    /// - Parameter redis: A server that doesn't run.
    /// - Returns: Whether it refused once.
    /// - Throws: `ServerError`.
    package static func restart(_ redis: PrivateRedis) async throws -> Bool {
        do {
            try await redis.restart()
            return false
        } catch ServerError.didNotStart(_, _, let log) where log.contains("is not the last file") {
            try await redis.restart()
            return true
        }
    }

    /// Whether the bytes end between a MULTI and its EXEC.
    ///
    /// - Parameters:
    ///   - bytes: From the beginning of a command on.
    ///   - atEnd: Whether they may end with a whole command; else only when one is cut through.
    /// - Returns: Whether half a transaction stands there.
    package static func isInTransaction(_ bytes: [UInt8], atEnd: Bool = false) -> Bool {
        var isOpen = false
        var at = 0
        while let (words, end) = command(in: bytes, at: at) {
            at = end
            switch words.first?.uppercased() {
            case "MULTI": isOpen = true
            case "EXEC": isOpen = false
            default: break
            }
        }
        return isOpen && (atEnd || at < bytes.count)
    }

    private static func cut(
        _ redis: PrivateRedis, _ body: () throws -> Void
    ) throws -> (lost: [(shop: String, id: String)], rest: [UInt8]) {
        let folder = "\(redis.directory)/appendonlydir"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".incr.aof") }
        var before: [String: Data] = [:]
        for file in files { before[file] = try Data(contentsOf: URL(filePath: "\(folder)/\(file)")) }
        try body()
        var lost: [(shop: String, id: String)] = []
        var rest: [UInt8] = []
        for file in files {
            let after = try Data(contentsOf: URL(filePath: "\(folder)/\(file)"), options: .mappedIfSafe).count
            guard let data = before[file], after < data.count else { continue }
            // From the transaction on that the cut goes through, or the one before it: commands begin there.
            let start = data.range(of: multi, options: .backwards, in: 0..<after)
            let from = start?.lowerBound ?? 0
            lost += changes(in: [UInt8](data[from...]), from: after - from)
            rest = [UInt8](data[from..<after])
        }
        return (lost, rest)
    }

    /// The changes of the XADDs behind a place, and of the transaction that the place cuts through.
    static func changes(in bytes: [UInt8], from cut: Int) -> [(shop: String, id: String)] {
        var found: [(shop: String, id: String)] = []
        var transaction: [(shop: String, id: String)] = []
        var isInTransaction = false
        var at = 0
        while let (words, end) = command(in: bytes, at: at) {
            at = end
            switch words.first?.uppercased() {
            case "MULTI": (isInTransaction, transaction) = (true, [])
            case "EXEC":
                if end > cut { found += transaction }
                isInTransaction = false
            case "XADD":
                guard let change = change(of: words) else { continue }
                if isInTransaction { transaction.append(change) } else if end > cut { found.append(change) }
            default: continue
            }
        }
        // A file that ended in the middle of a transaction loses it whole.
        return found + (isInTransaction ? transaction : [])
    }

    private static func change(of words: [String]) -> (shop: String, id: String)? {
        guard words.count > 3, words[1].hasSuffix(":log") else { return nil }
        var fields: [String: String] = [:]
        for index in stride(from: 3, to: words.count - 1, by: 2) { fields[words[index]] = words[index + 1] }
        guard let shop = fields["shop"], let id = fields["id"] else { return nil }
        return (shop, id)
    }

    /// The command that starts at a place, and where the next one does; nil at the end.
    private static func command(in bytes: [UInt8], at start: Int) -> (words: [String], end: Int)? {
        var at = start
        func number(_ mark: Character) -> Int? {
            guard at < bytes.count, bytes[at] == mark.asciiValue else { return nil }
            var value = 0
            at += 1
            while at < bytes.count, bytes[at] != UInt8(ascii: "\r") {
                value = value * 10 + Int(bytes[at]) - 48
                at += 1
            }
            guard at < bytes.count else { return nil }
            at += 2
            return value
        }
        // Redis writes times as comments when it is told to.
        while at < bytes.count, bytes[at] == UInt8(ascii: "#") {
            while at < bytes.count, bytes[at] != UInt8(ascii: "\n") { at += 1 }
            at += 1
        }
        guard let count = number("*") else { return nil }
        var words: [String] = []
        for _ in 0..<count {
            guard let length = number("$"), at + length <= bytes.count else { return nil }
            words.append(String(decoding: bytes[at..<at + length], as: UTF8.self))
            at += length + 2
        }
        return (words, at)
    }
}
