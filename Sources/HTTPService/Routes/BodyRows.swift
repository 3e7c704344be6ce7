import ChangeInput
import Hummingbird
import NIOCore
import OrderLog

/// The lines of a body of NDJSON as rows, read as it comes; empty lines are skipped.
///
/// A body that breaks off ends with an error, behind its whole lines: what is left of it may be a part of a line.
struct BodyRows: AsyncSequence, Sendable {
    let body: RequestBody

    struct AsyncIterator: AsyncIteratorProtocol {
        private var chunks: RequestBody.AsyncIterator
        private var bytes: [UInt8] = []
        /// Where the next line begins in `bytes`, and how far its end was looked for.
        private var (start, scanned) = (0, 0)
        private var line = 0
        private var isAtEnd = false
        /// Whether a line that is too long is being skipped.
        private var isSkipping = false

        init(_ body: RequestBody) {
            chunks = body.makeAsyncIterator()
        }

        @concurrent mutating func next() async throws -> InputRow? {
            while true {
                if let end = bytes[scanned...].firstIndex(of: 0x0A) {
                    let range = start..<end
                    (start, scanned) = (end + 1, end + 1)
                    if let row = row(range) { return row }
                    continue
                }
                scanned = bytes.count
                if scanned - start > Limits.inputLineBytesMax {
                    isSkipping = true
                    (bytes, start, scanned) = ([], 0, 0)
                }
                guard !isAtEnd else { return nil }
                guard let chunk = try await chunks.next() else {
                    isAtEnd = true
                    let range = start..<bytes.count
                    (start, scanned) = (bytes.count, bytes.count)
                    if !range.isEmpty || isSkipping, let row = row(range) { return row }
                    return nil
                }
                if start > 0 {
                    bytes.removeSubrange(..<start)
                    (scanned, start) = (scanned - start, 0)
                }
                bytes.append(contentsOf: chunk.readableBytesView)
            }
        }

        /// The row of a line; nil for an empty one.
        private mutating func row(_ range: Range<Int>) -> InputRow? {
            line += 1
            if isSkipping || range.count > Limits.inputLineBytesMax {
                isSkipping = false
                return InputRow(tooLong: line)
            }
            var range = range
            if line == 1, bytes[range].starts(with: [0xEF, 0xBB, 0xBF]) {
                range = range.lowerBound + 3..<range.upperBound
            }
            if bytes[range].allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { return nil }
            return InputRow(object: range, of: bytes, line: line)
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(body) }
}
