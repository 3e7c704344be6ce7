import Glibc
import ThreadedIO

/// Losing the tail of a stopped server's append-only file, as a power cut does.
///
/// What is cut off is gone at the next start; a script's effects that were cut in the middle are dropped whole
/// (`aof-load-truncated`). Only the newest file is cut: what an earlier rewrite moved into another one stays.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/>
extension PrivateRedis {
    private static let tailBytesMax = 32 << 20

    /// Cuts bytes off the end.
    ///
    /// - Parameter bytes: How many; all, when there are fewer.
    /// - Returns: How many there were to cut.
    /// - Throws: ``ServerError``, also when the server runs.
    @discardableResult
    package func cutAOF(bytes: Int) throws(ServerError) -> Int {
        let file = try openAOF()
        let length = try size(of: file)
        try truncate(file, to: max(0, length - bytes))
        return min(bytes, length)
    }

    /// Cuts off the last entries of the log, and everything that was written since the first of them.
    ///
    /// The cut goes through the first lost transaction. One script may append many entries; they are lost together.
    ///
    /// - Parameter entries: The fewest to lose.
    /// - Returns: How many entries were lost, of all partitions together.
    /// - Throws: ``ServerError``, also when the server runs, or the file's last 32 MB hold fewer.
    @discardableResult
    package func cutAOF(losing entries: Int) throws(ServerError) -> Int {
        let file = try openAOF()
        let length = try size(of: file)
        let tail = try read(file, from: max(0, length - Self.tailBytesMax), to: length)
        let begin = Array("*1\r\n$5\r\nMULTI\r\n".utf8)
        var (end, lost) = (tail.count, 0)
        while lost < entries {
            guard let start = tail.lastStart(of: begin, before: end) else {
                throw .refused(operation: "cut the AOF", reason: "its end holds fewer than \(entries) entries")
            }
            lost += tail.logAppends(in: start..<end)
            end = start
        }
        try truncate(file, to: length - tail.count + end + begin.count)
        return lost
    }

    /// The path of the file that the server writes to: the newest of those that the manifest names.
    package func aofPath() throws(ServerError) -> String { "\(aofFolder)/\(try newestAOF().name)" }

    /// The path of the file that the next rewrite begins.
    package func nextAOFPath() throws(ServerError) -> String {
        "\(aofFolder)/appendonly.aof.\(try newestAOF().number + 1).incr.aof"
    }

    private var aofFolder: String { "\(directory)/appendonlydir" }

    private func newestAOF() throws(ServerError) -> (name: String, number: Int) {
        // Lines like: file appendonly.aof.1.incr.aof seq 1 type i
        let lines = (readText("\(aofFolder)/appendonly.aof.manifest") ?? "").split(separator: "\n")
        guard let words = lines.last?.split(separator: " "), words.count > 3, let number = Int(words[3]) else {
            throw .refused(operation: "find the AOF", reason: "no file in \(aofFolder)")
        }
        return (String(words[1]), number)
    }

    private func openAOF() throws(ServerError) -> Descriptor {
        guard !isRunning else { throw .refused(operation: "cut the AOF", reason: "the server runs") }
        let path = try aofPath()
        let number = open(path, O_RDWR | O_CLOEXEC)
        guard number >= 0 else { throw .refused(operation: "open \(path)", errno: errno) }
        return Descriptor(number)
    }

    private func size(of file: Descriptor) throws(ServerError) -> Int {
        let size = lseek(file.number, 0, SEEK_END)
        guard size >= 0 else { throw .refused(operation: "measure the AOF", errno: errno) }
        return size
    }

    private func read(_ file: Descriptor, from start: Int, to end: Int) throws(ServerError) -> [UInt8] {
        let bytes = [UInt8](unsafeUninitializedCapacity: end - start) { bytes, count in
            while count < bytes.count {
                let read = pread(
                    file.number, bytes.baseAddress?.advanced(by: count), bytes.count - count, start + count)
                guard read > 0 else { return }
                count += read
            }
        }
        guard bytes.count == end - start else { throw .refused(operation: "read the AOF", errno: errno) }
        return bytes
    }

    private func truncate(_ file: Descriptor, to length: Int) throws(ServerError) {
        guard ftruncate(file.number, length) == 0 else { throw .refused(operation: "cut the AOF", errno: errno) }
    }
}

extension [UInt8] {
    /// Where the last occurrence starts that ends at or before an index.
    fileprivate func lastStart(of pattern: [UInt8], before end: Int) -> Int? {
        withUnsafeBufferPointer { bytes in
            var index = end - pattern.count
            while index >= 0 {
                if bytes[index] == pattern[0], pattern.indices.allSatisfy({ bytes[index + $0] == pattern[$0] }) {
                    return index
                }
                index -= 1
            }
            return nil
        }
    }

    /// How many `XADD`s to keys that end in `:log` stand in a range.
    fileprivate func logAppends(in range: Range<Int>) -> Int {
        let append = Array("\r\n$4\r\nXADD\r\n$".utf8)
        var (count, end) = (0, range.upperBound)
        while let start = lastStart(of: append, before: end), start >= range.lowerBound {
            // Behind the pattern: the key's length, and the key.
            let words = self[(start + append.count)..<Swift.min(start + 512, range.upperBound)].split(
                separator: UInt8(ascii: "\n"), maxSplits: 2)
            if words.count > 1, words[1].suffix(5).elementsEqual(Array(":log\r".utf8)) {
                count += 1
            }
            end = start
        }
        return count
    }
}
