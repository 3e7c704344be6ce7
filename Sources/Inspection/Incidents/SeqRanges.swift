import OrderLog

/// Some seqs of a partition, written `15137-15138,15140`.
public struct SeqRanges: Equatable, Sendable, CustomStringConvertible {
    /// More than a person would type; a longer hole is one range.
    private static let rangesMax = 1000

    /// Rising, without overlaps.
    public let ranges: [ClosedRange<Int64>]

    /// Reads rising ranges, parted by commas; nil when it is something else.
    package init?(_ text: String) {
        var ranges: [ClosedRange<Int64>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int64($0) }
            guard let first = ends[0], let last = ends[ends.count - 1], first > ranges.last?.upperBound ?? 0,
                last >= first, ranges.count < Self.rangesMax
            else { return nil }
            ranges.append(first...last)
        }
        self.ranges = ranges
    }

    /// The first seq.
    public var first: Int64 { ranges.first?.lowerBound ?? 0 }
    /// The last seq.
    public var last: Int64 { ranges.last?.upperBound ?? 0 }
    /// How many seqs there are.
    public var count: Int64 { ranges.reduce(0) { $0 + $1.upperBound - $1.lowerBound + 1 } }

    /// Whether a seq is among them.
    public func contains(_ seq: Int64) -> Bool { ranges.contains { $0.contains(seq) } }

    /// The text that they are read from.
    public var description: String {
        ranges.map { $0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ",")
    }
}
