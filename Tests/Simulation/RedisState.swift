import OrderLog

/// An entry of a simulated log.
final class LogItem {
    let entry: Entry
    /// Shop and change ID, or for what is no change a text of its fields: tells two entries at one place apart.
    let mark: String
    /// Whether the log gave it its place; not so for an entry added by hand.
    let isGenuine: Bool

    init(_ entry: Entry, isGenuine: Bool = true) {
        self.entry = entry
        self.isGenuine = isGenuine
        mark = Self.mark(of: entry.content)
    }

    static func mark(of content: Entry.Content) -> String {
        switch content {
        case .change(let change): change.id
        case .unusable(_, let fields):
            String(decoding: fields.first { $0.name.elementsEqual("id".utf8) }?.value ?? [], as: UTF8.self)
        }
    }
}

/// One partition's keys.
struct PartitionKeys {
    struct SeenPlace: Equatable {
        let digest: String
        let seq: Seq
        let entry: EntryID
    }

    struct Pending: Equatable {
        let entry: EntryID
        var consumer: WorkerName
    }

    struct ConsumerGroup {
        var lastDelivered: EntryID
        /// By ID.
        var pending: [Pending] = []
        var consumers: Set<WorkerName> = []
    }

    struct LeaseKey {
        let holder: WorkerName
        let end: Int64
    }

    struct PositionKey: Equatable {
        var token: Int64 = 0
        var owner = ""
        var epoch: Epoch
        var seq = Seq.none
        var entry: EntryID?
        /// What `applied` comes to, as a value of its own.
        var sum = 0
    }

    enum Admission: Equatable {
        case on
        /// It is counted: for the first time, or anew, and orders wait; the how manieth counting it is.
        case starting(Int), counting(Int)
    }

    var head: Head?
    var log: [LogItem] = []
    var lastID = EntryID.zero
    var seen: [String: SeenPlace] = [:]
    /// By ``Group``'s place among all cases.
    var groups: [ConsumerGroup?] = [nil, nil, nil]
    var leases: [LeaseKey?] = [nil, nil, nil]
    var positions: [PositionKey?] = [nil, nil, nil]
    /// What the sink stock has applied or set aside, in order: the effect itself.
    var applied: [String] = []
    var appliedByHand = 0
    /// The shop's stock of the one SKU.
    var stock: Int64 = 0
    /// Whether the shop admits orders only as far as stock covers them; nil when it is off.
    var admission: Admission?
    /// What may still be sold.
    var available: Int64 = 0

    /// What may be sold by the stock and what the log has behind its position.
    var derivedAvailable: Int64 {
        let position = positions[Group.stock.place]?.seq ?? .none
        let tail = log.lazy.filter { $0.isGenuine && ($0.entry.place?.seq ?? .none) > position }
        return tail.reduce(into: stock) { $0 = $1.entry.content.stock(after: $0) }
    }

    /// The first item at or above an ID.
    func index(from id: EntryID) -> Int {
        var low = 0
        var high = log.count
        while low < high {
            let middle = (low + high) / 2
            if log[middle].entry.id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func item(_ id: EntryID) -> LogItem? {
        let index = index(from: id)
        return index < log.count && log[index].entry.id == id ? log[index] : nil
    }
}

extension Entry.Content {
    /// The stock of the one SKU when this is applied to it.
    func stock(after stock: Int64) -> Int64 {
        guard case .change(let change) = self else { return stock }
        return change.stock(after: stock)
    }
}

extension Change {
    func stock(after stock: Int64) -> Int64 {
        lines.items.reduce(stock) { stock, line in
            switch kind {
            case .orderPlaced: stock - line.quantity
            case .orderCancelled, .orderReturned, .stockReceived: stock + line.quantity
            case .stockCounted: line.quantity
            }
        }
    }
}

extension Group {
    var place: Int {
        switch self {
        case .postgres: 0
        case .stock: 1
        default: 2
        }
    }
}
