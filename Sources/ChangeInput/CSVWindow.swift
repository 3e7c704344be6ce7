import OrderLog

/// The orders of a CSV that were read ahead of the one that is given next.
///
/// An order whose rows are parted by others' rows is found while its parts are in here together, and none of them is given as an
/// order: each would be one with too few lines. What was found so is remembered a while longer, for parts that come later.
struct CSVWindow {
    /// The places of one order's parts in the input; shared by all that are held.
    private final class Parts {
        /// As many as are worth naming.
        private static let namedMax = 6

        private var runs: [ClosedRange<Int>] = []
        private var count = 0

        func add(_ lines: ClosedRange<Int>) {
            count += 1
            if runs.count < Self.namedMax { runs.append(lines) }
        }

        func error(_ id: String) -> FieldError {
            var places = runs.map { run in
                run.count == 1
                    ? FieldError.spaced(run.lowerBound)
                    : "\(FieldError.spaced(run.lowerBound))-\(FieldError.spaced(run.upperBound))"
            }
            if count > runs.count { places.append("\(FieldError.spaced(count - runs.count)) more") }
            return FieldError(
                "id",
                "\(id) has rows at lines \(places.dropLast().joined(separator: ", ")) and \(places.last ?? "?"), with others' "
                    + "between them: an order's rows must follow each other. Sort the file by id")
        }
    }

    private struct Held {
        var order: CSVOrder?
        let key: CSVRow.Key?
        let lines: ClosedRange<Int>
        var parts: Parts?
        let readAt: ContinuousClock.Instant
    }

    /// How long an order waits for more of the input, when that comes slowly.
    private static let patience: Duration = .milliseconds(200)

    /// `given` of them at the front are given, and empty.
    private var held: [Held] = []
    private var given = 0
    /// The position that the first of `held` has.
    private var base = 0
    private var bytes = 0
    /// Where the orders are that have one part so far.
    private var positions: [CSVRow.Key: Int] = [:]
    /// Those that have more; the oldest are forgotten.
    private var parted: [CSVRow.Key: Parts] = [:]
    private var partedKeys: [CSVRow.Key] = []

    /// Whether orders are an export's, whose rows needn't stand together.
    let isOfExport: Bool

    init(isOfExport: Bool = false) { self.isOfExport = isOfExport }

    var isFull: Bool {
        let orders = isOfExport ? Limits.exportOrdersAheadMax : Limits.inputOrdersAheadMax
        return held.count - given >= orders
            || bytes >= (isOfExport ? Limits.exportBytesAheadMax : Limits.inputBytesAheadMax)
    }

    /// Until when more may be waited for; nil when there is nothing to be given.
    var deadline: ContinuousClock.Instant? {
        given < held.count ? held[given].readAt + Self.patience : nil
    }

    mutating func add(_ order: CSVOrder) {
        let lines = order.line...order.lastLine
        // What can't be an ID is rejected anyway.
        let key = order.key?.isPlausible == true ? order.key : nil
        if isOfExport, let key, let position = positions[key] {
            let before = held[position - base].order?.textCount ?? 0
            held[position - base].order?.merge(order)
            bytes += (held[position - base].order?.textCount ?? 0) - before
            return
        }
        var parts: Parts?
        if let key {
            parts = partsBefore(key)
            parts?.add(lines)
            if parts == nil { positions[key] = base + held.count }
        }
        bytes += order.textCount
        held.append(Held(order: order, key: key, lines: lines, parts: parts, readAt: .now))
    }

    /// The parts of an order that came before; nil when there are none.
    private mutating func partsBefore(_ key: CSVRow.Key) -> Parts? {
        if let parts = parted[key] { return parts }
        guard let position = positions.removeValue(forKey: key) else { return nil }
        let parts = Parts()
        parts.add(held[position - base].lines)
        held[position - base].parts = parts
        remember(parts, of: key)
        return parts
    }

    private mutating func remember(_ parts: Parts, of key: CSVRow.Key) {
        parted[key] = parts
        partedKeys.append(key)
        guard partedKeys.count >= 2 * Limits.inputOrdersAheadMax else { return }
        for key in partedKeys.prefix(Limits.inputOrdersAheadMax) { parted[key] = nil }
        partedKeys.removeFirst(Limits.inputOrdersAheadMax)
    }

    /// The next order; nil when none is held.
    mutating func give() -> (order: CSVOrder, row: InputRow)? {
        guard given < held.count, let whole = held[given].order else { return nil }
        let order = whole.finish()
        let (key, parts) = (held[given].key, held[given].parts)
        held[given].order = nil
        if let key, parts == nil { positions[key] = nil }
        given += 1
        bytes -= whole.textCount
        // Now and then, so that each is moved at most twice.
        if given >= 1024, given * 2 >= held.count {
            held.removeFirst(given)
            base += given
            given = 0
        }
        guard let parts, case .success(let change) = order.result else { return (whole, order) }
        let row = InputRow(
            line: order.line, id: order.id, text: order.text, isTextCut: order.isTextCut,
            result: .failure(RowError(line: order.line, error: parts.error(change.id))))
        return (whole, row)
    }
}
