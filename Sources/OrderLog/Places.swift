// The distinct numbers of the log. Each is a type of its own, so that a seq is never taken for an epoch.

/// One of the log's P streams, 0 ..< P.
public struct Partition: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The partition's number, from 0.
    public let number: Int

    /// Takes a number from outside; nil for a negative one.
    public init?(exactly number: Int) {
        guard number >= 0 else { return nil }
        self.init(number)
    }

    package init(_ number: Int) {
        precondition(number >= 0, "a partition is never negative")
        self.number = number
    }

    /// The number.
    public var description: String { String(number) }

    /// By number.
    public static func < (left: Partition, right: Partition) -> Bool { left.number < right.number }
}

/// An entry's place within its partition: 1, 2, 3 … without holes, for ever.
///
/// 0 stands for "none yet".
public struct Seq: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The place's number, from 1.
    public let number: Int64

    /// Takes a number from outside; nil for a negative one.
    public init?(exactly number: Int64) {
        guard number >= 0 else { return nil }
        self.init(number)
    }

    package init(_ number: Int64) {
        precondition(number >= 0, "a seq is never negative")
        self.number = number
    }

    /// The place before the first entry.
    public static let none = Seq(0)

    /// The place behind it.
    public var next: Seq { Seq(number + 1) }
    package var previous: Seq { Seq(number - 1) }

    /// The number.
    public var description: String { String(number) }

    /// By number.
    public static func < (left: Seq, right: Seq) -> Bool { left.number < right.number }
}

/// Rises each time a partition is opened: tells two histories of the log apart.
public struct Epoch: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The epoch's number.
    public let number: Int64

    /// Takes a number from outside; nil for a negative one.
    public init?(exactly number: Int64) {
        guard number >= 0 else { return nil }
        self.init(number)
    }

    package init(_ number: Int64) {
        precondition(number >= 0, "an epoch is never negative")
        self.number = number
    }

    /// The number.
    public var description: String { String(number) }

    /// By number.
    public static func < (left: Epoch, right: Epoch) -> Bool { left.number < right.number }
}

/// The fencing token: a sink refuses writes that carry an older one than its own.
public struct Token: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// As a number.
    public let number: Int64

    package init(_ number: Int64) {
        precondition(number >= 0, "a token is never negative")
        self.number = number
    }

    /// As text.
    public var description: String { String(number) }

    /// By number.
    public static func < (left: Token, right: Token) -> Bool { left.number < right.number }
}

/// A Redis stream ID: the server's milliseconds and a counter within them.
///
/// A hint, never grounds for a decision: IDs are used again after the log lost its tail.
///
/// <https://redis.io/docs/latest/develop/data-types/streams/#entry-ids>
public struct EntryID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The server's clock.
    public let milliseconds: UInt64
    /// Counts within a millisecond.
    public let counter: UInt64

    package init(milliseconds: UInt64, counter: UInt64) {
        self.milliseconds = milliseconds
        self.counter = counter
    }

    /// Reads `1763905351204-0`; nil unless it is two decimal numbers parted by a dash.
    ///
    /// - Parameter text: What Redis printed, or an older entry's ID from a sink.
    public init?(_ text: String) {
        guard let id = text.utf8.span.withUnsafeBytes({ Self(text: $0) }) else { return nil }
        self = id
    }

    /// Reads the same from the text's bytes.
    package init?(text: UnsafeRawBufferPointer) {
        guard let dash = text.firstIndex(of: UInt8(ascii: "-")),
            let milliseconds = UInt64(digits: text[..<dash]), let counter = UInt64(digits: text[(dash + 1)...])
        else { return nil }
        self.init(milliseconds: milliseconds, counter: counter)
    }

    /// The ID below every entry's.
    package static let zero = EntryID(milliseconds: 0, counter: 0)

    /// The lowest ID above this one.
    package var successor: EntryID {
        counter == .max
            ? EntryID(milliseconds: milliseconds + 1, counter: 0)
            : EntryID(milliseconds: milliseconds, counter: counter + 1)
    }

    /// The highest ID below this one; nil for ``zero``.
    package var predecessor: EntryID? {
        if counter > 0 { return EntryID(milliseconds: milliseconds, counter: counter - 1) }
        return milliseconds > 0 ? EntryID(milliseconds: milliseconds - 1, counter: .max) : nil
    }

    /// As Redis prints it.
    public var description: String { String(milliseconds) + "-" + String(counter) }

    /// By milliseconds, then by counter.
    public static func < (left: EntryID, right: EntryID) -> Bool {
        (left.milliseconds, left.counter) < (right.milliseconds, right.counter)
    }
}

extension UInt64 {
    /// Reads a decimal number of nothing but digits.
    ///
    /// - Parameter digits: The number's bytes; nil comes of none, of any other byte, and of a number that is too large.
    package init?(digits: Slice<UnsafeRawBufferPointer>) {
        guard !digits.isEmpty else { return nil }
        var number: UInt64 = 0
        for byte in digits {
            guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else { return nil }
            let (product, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isTooLargeNow) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            guard !isTooLarge, !isTooLargeNow else { return nil }
            number = sum
        }
        self = number
    }
}

/// An entry's place in the log, as its fields say.
public struct Place: Hashable, Sendable {
    /// The epoch in which it was appended.
    public let epoch: Epoch
    /// Its place.
    public let seq: Seq

    package init(epoch: Epoch, seq: Seq) {
        self.epoch = epoch
        self.seq = seq
    }
}

/// One uninterrupted life of a partition's log: the epoch it was opened with, on the server of this replid.
///
/// `master_replid` changes at every restart, promotion and slot move, so an equal history means an unbroken log.
public struct History: Hashable, Sendable, CustomStringConvertible {
    /// The epoch.
    public let epoch: Epoch
    /// The server's `master_replid`.
    public let replid: String

    package init(epoch: Epoch, replid: String) {
        self.epoch = epoch
        self.replid = replid
    }

    /// As text.
    public var description: String { "epoch \(epoch) under \(replid.prefix(8))" }
}

/// How far a sink got in a partition.
///
/// It lives in the sink, beside its data.
public struct Position: Hashable, Sendable {
    /// The epoch of the history in which it got there.
    public let epoch: Epoch
    /// The last entry's place.
    public let seq: Seq
    /// The stream ID of the entry at `seq` when it was applied; nil before the first.
    public let entry: EntryID?

    package init(epoch: Epoch, seq: Seq, entry: EntryID?) {
        self.epoch = epoch
        self.seq = seq
        self.entry = entry
    }
}

/// The right to change one partition of one sink, as the sink granted it when a worker took over.
public struct Permit: Hashable, Sendable {
    /// What may be changed.
    public let partition: Partition
    /// The log's history in which it was granted.
    public let history: History
    /// What the store compares.
    public let token: Token
    /// Who may change it.
    public let owner: WorkerName

    package init(partition: Partition, history: History, token: Token, owner: WorkerName) {
        self.partition = partition
        self.history = history
        self.token = token
        self.owner = owner
    }
}

/// A worker's name: its consumer name in Redis, its owner's mark in the sinks.
public struct WorkerName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The name.
    public let text: String

    /// Takes a name of 1 to 64 of `[A-Za-z0-9._-]`; nil for any other text.
    ///
    /// - Parameter text: What the user or another worker wrote.
    public init?(_ text: String) {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(Alphabet.sku.contains) else { return nil }
        self.text = text
    }

    private init(known text: String) {
        self.text = text
    }

    /// A name that nobody else is likely to have: `stock-3fa91c`, or `worker-3fa91c` for several groups.
    public static func madeUp(for groups: [Group]) -> WorkerName {
        let kind = groups.count == 1 ? groups[0].name : "worker"
        return WorkerName(known: "\(kind)-\(String(UInt32.random(in: 0..<(1 << 24)), radix: 16))")
    }

    /// Who opens a log on a person's behalf.
    package static let initialiser = WorkerName(known: "init")
    package static let opener = WorkerName(known: "open")

    /// As text.
    public var description: String { text }

    /// By number.
    public static func < (left: WorkerName, right: WorkerName) -> Bool { left.text < right.text }
}
