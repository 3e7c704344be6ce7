package import RedisClient

extension RedisCommand {
    /// A command of words.
    package init(words: [String]) {
        self.init(words[0])
        append(contentsOf: Array(words.dropFirst()))
    }
}

/// A partition's idempotency window from outside, in whatever form it is.
package struct WindowProbe {
    private let key: String
    private let call: ([String]) throws -> RedisReply

    /// - Parameters:
    ///   - key: The partition's `seen`.
    ///   - call: Calls a command on its server.
    package init(_ key: String, _ call: @escaping ([String]) throws -> RedisReply) {
        (self.key, self.call) = (key, call)
    }

    private func hashes() throws -> [String] {
        try call(["KEYS", key + "*"]).elements.compactMap(\.string).filter { try call(["TYPE", $0]).string == "hash" }
    }

    /// What it remembers, by the bytes of `<shop> <change ID>`.
    ///
    /// Swift's strings take both normal forms for one.
    package func records() throws -> [[UInt8]: [UInt8]] {
        var records: [[UInt8]: [UInt8]] = [:]
        for hash in try hashes() {
            let fields = try call(["HGETALL", hash]).elements.map { $0.withBytes { [UInt8]($0) } }
            for index in stride(from: 0, to: fields.count - 1, by: 2) {
                if fields[index] != Array("since".utf8) { records[fields[index]] = fields[index + 1] }
            }
        }
        return records
    }

    /// The bucket of each change, when they are in buckets.
    package func buckets() throws -> [[UInt8]: Int] {
        var buckets: [[UInt8]: Int] = [:]
        for hash in try hashes() {
            guard let bucket = Int(hash.split(separator: ":").last ?? "") else { continue }
            for name in try call(["HKEYS", hash]).elements { buckets[name.withBytes { [UInt8]($0) }] = bucket }
        }
        return buckets
    }

    /// Forgets a change.
    package func forget(_ name: String) throws {
        for hash in try hashes() { _ = try call(["HDEL", hash, name]) }
    }

    /// Makes the newest generation a window older than it is.
    package func age() throws {
        if let text = try call(["GET", key]).string {
            var words = text.split(separator: " ").map(String.init)
            // Its buckets are named by it.
            let (since, aged) = (words[1], String((Int(words[1]) ?? 0) - 200_000_000_000))
            for bucket in try call(["KEYS", "\(key):\(since):*"]).elements.compactMap(\.string) {
                _ = try call(["RENAME", bucket, "\(key):\(aged):\(bucket.split(separator: ":").last ?? "")"])
            }
            words[1] = aged
            _ = try call(["SET", key, words.joined(separator: " ")])
        } else {
            _ = try call(["HSET", key, "since", "0"])
        }
    }
}
