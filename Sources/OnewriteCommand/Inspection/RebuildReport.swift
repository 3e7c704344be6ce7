import Connections
import Dashboard
import OrderLog
import Upkeep

/// What is to be rebuilt, and what came of it, as `onewrite rebuild` prints it.
struct RebuildReport: Encodable {
    struct Row: Encodable {
        let partition: Int
        /// The ledger's last seq.
        var last: Int64?
        /// Of a log: the first entry that is put back, the first whose ID is remembered, how many IDs are, and the first whose job is
        /// made again.
        var first: Int64?
        var idsFrom: Int64?
        var ids: Int?
        var jobsFrom: Int64?
        var isThere: Bool?
        /// Of the stock: how far the sink was.
        var position: Int64?
        var shops: Int?
        var skus: Int?
        /// How many entries the sink applies again.
        var again: Int64?
        /// Entries that were put back.
        var healed: Int?
        /// Of deliveries: jobs to be made, those that wait, and those that were made.
        var jobs: Int?
        var waiting: Int?
        var made: Int?
        var isDone: Bool
        var error: String?

        enum CodingKeys: String, CodingKey {
            case partition, last, first, position, shops, skus, again, healed, jobs, waiting, made, ids, error
            case idsFrom = "ids_from"
            case jobsFrom = "jobs_from"
            case isThere = "is_there"
            case isDone = "done"
        }
    }

    let schema = "onewrite/rebuild/v1"
    let what: String
    let partitions: [Row]

    init(log rows: [LogRebuild.Row]) {
        what = "log"
        partitions = rows.map { row in
            Row(
                partition: row.partition.number, last: row.last.number, first: row.first?.number,
                idsFrom: row.idsFrom?.number, ids: row.ids, jobsFrom: row.jobsFrom?.number, isThere: row.isThere,
                shops: row.shops, healed: row.opened?.healed,
                isDone: row.opened.map { $0.state != .halted } ?? false, error: row.opened?.reason)
        }
    }

    init(stock rows: [StockRebuild.Row]) {
        what = "stock"
        partitions = rows.map { row in
            Row(
                partition: row.partition.number, last: row.done?.seq.number ?? row.ledger.number,
                position: row.position.number, shops: row.done?.shops ?? row.shops, skus: row.done?.skus,
                again: row.done?.again, isDone: row.done != nil, error: row.refusal)
        }
    }

    init(delivery rows: [DeliveryRebuild.Row]) {
        what = "delivery"
        partitions = rows.map { row in
            Row(
                partition: row.partition.number, jobs: row.jobs, waiting: row.waiting, made: row.made,
                isDone: row.made != nil, error: row.refusal)
        }
    }
}

extension RebuildReport {
    /// A line a partition, and how many of them are done.
    var lines: [String] {
        let done = partitions.count(where: \.isDone)
        switch what {
        case "delivery":
            return partitions.filter { $0.jobs != 0 || $0.waiting != 0 || $0.error != nil }.map(\.deliveryText)
        case "log": return partitions.map(\.logText) + ["\(partitions.count) partitions: \(done) rebuilt"]
        default: return partitions.map(\.stockText) + ["\(partitions.count) partitions: \(done) rebuilt"]
        }
    }
}

extension RebuildReport.Row {
    fileprivate var logText: String {
        var parts: [String] = []
        if isThere == true {
            parts.append("is there already" + (isDone ? ", and open" : ""))
        } else if let first, let last {
            let count = Readable.count(Int(last - first + 1))
            parts.append("seq \(first) to \(last) \(isDone ? "were" : "are to be") put back (\(count) entries)")
            parts.append("stock up to seq \(last)" + (shops.map { ", \(Readable.count($0)) shops" } ?? ""))
            parts.append(
                ids.map { "\(Readable.count($0)) IDs remembered" } ?? idsFrom.map { "IDs remembered from seq \($0) on" }
                    ?? "no IDs remembered")
            parts.append(jobsFrom.map { "jobs from seq \($0) on" } ?? "no jobs")
        } else {
            parts.append("nothing was applied: \(isDone ? "created" : "to be created")")
        }
        if let error { parts.append("not open: \(error)") }
        return "partition \(partition): " + parts.joined(separator: "; ")
    }

    fileprivate var deliveryText: String {
        if let error { return "partition \(partition): \(error)" }
        let jobs =
            made.map { "\(Readable.count($0)) jobs put into the list again" }
            ?? "\(Readable.count(jobs)) jobs to be made again"
        return "partition \(partition): \(jobs); \(Readable.count(waiting)) of these orders' wait in it still"
    }

    fileprivate var stockText: String {
        if let error { return "partition \(partition): \(error)" }
        guard isDone else {
            return
                "partition \(partition): \(Readable.count(Int(last ?? 0))) entries of the ledger to be folded; the sink is at seq "
                + "\(position ?? 0), with \(Readable.count(shops)) shops"
        }
        let again = again.map { $0 > 0 ? "; \(Readable.count(Int($0))) entries are applied again" : "" } ?? ""
        return
            "partition \(partition): \(Readable.count(skus)) counters of \(Readable.count(shops)) shops made anew, up to "
            + "seq \(last ?? 0)\(again)"
    }
}
