/// Something of ours that reads bytes which others have written, and what must hold whatever these are.
package struct FuzzTarget: Sendable {
    /// What scripts/fuzz calls it, and its folder of the corpus.
    package let name: String
    /// Reads the bytes, and throws ``FuzzFinding`` when something doesn't hold.
    package let run: @Sendable ([UInt8]) throws -> Void

    init(_ name: String, _ run: @escaping @Sendable ([UInt8]) throws -> Void) {
        self.name = name
        self.run = run
    }

    /// All of them.
    package static let all = [
        replies, entries, ndjson, csv, exports, redisURLs, postgresURLs, configuration, keys, terminalText,
    ]
}

/// What doesn't hold.
package struct FuzzFinding: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Throws ``FuzzFinding`` unless something holds.
func require(_ condition: Bool, _ text: @autoclosure () -> String) throws(FuzzFinding) {
    if !condition { throw FuzzFinding(text()) }
}

extension [UInt8] {
    /// The bytes in pieces, as a slow sender's come: their lengths are drawn from the bytes themselves, 1 to 16, and far behind
    /// the beginning up to 64 times as many.
    var pieces: [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var start = 0
        while start < count {
            let length = 1 + Int(self[start] &* 167 >> 4)
            let end = Swift.min(start + length * (start < 256 ? 1 : 64), count)
            pieces.append(self[start..<end])
            start = end
        }
        return pieces
    }
}
