import Synchronization

/// All that was submitted during a run and all that was answered, from several submitters at once.
package final class ReceiptBook: Sendable {
    /// What is known of one change.
    struct Page: Sendable {
        let change: PlannedChange
        /// Who submitted it, with the number in that submitter's order; the first time only.
        var submitters: [Int: Int] = [:]
        /// The answers that name a place: accepted or duplicate.
        var places: [Place: Int] = [:]
        /// Whether somebody was told that Postgres has it.
        var isApplied = false
        /// Whether somebody was told that a replica has it.
        var isReplicated = false
        /// Whether a lost tail of the log held it.
        var wasCut = false
        /// Whether one that a replica lost too may have held it.
        var wasCutOfReplicas = false
        /// Whether somebody was told that stock doesn't cover it.
        var wasRefused = false

        /// Whether it may be missing although it was accepted.
        var mayBeLost: Bool { wasCut && !isApplied && (!isReplicated || wasCutOfReplicas) }

        /// What somebody was told.
        var promise: String {
            isApplied
                ? ", although Postgres was said to have it"
                : isReplicated ? ", although a replica was said to have it" : ""
        }
    }

    struct Place: Hashable, Sendable {
        let partition: Int
        let seq: Int64
    }

    /// How often what was answered.
    package struct Tally: Sendable {
        /// Different changes that were submitted.
        package var changes = 0
        package var accepted = 0
        package var duplicates = 0
        /// Refused for want of stock.
        package var refused = 0
        /// Submitted, and without an answer.
        package var unknown = 0
        /// Changes that were in a tail of the log when it was cut off.
        package var cut = 0

        package init() {}
    }

    typealias Key = StoreContents.OrderKey

    private struct State {
        var pages: [Key: Page] = [:]
        var numbers: [Int: Int] = [:]
        var tally = Tally()
        var wrongAnswers: [String] = []
        var refusals: [Refusal] = []
        var refusalsCompared = 0
        /// How often a tail was cut off: what was answered before may speak of places that others have by now.
        var cuts = 0
    }

    /// What somebody was told that stock lacks, behind a place.
    private struct Refusal {
        let place: Place
        let shop: String
        let id: String
        let lacking: [ReceiptLine.Lacking]
    }

    private let state = Mutex(State())

    package init() {}

    /// How often what was answered so far.
    package var tally: Tally { state.withLock { $0.tally } }

    /// How many refusals were compared with the log.
    package var refusalsCompared: Int { state.withLock { $0.refusalsCompared } }

    /// Notes that a submitter is about to submit these, in this order.
    ///
    /// - Returns: How often a tail was cut off before.
    @discardableResult
    package func submitting(_ changes: [PlannedChange], by submitter: Int) -> Int {
        state.withLock { state in
            for change in changes {
                let key = Key(shop: change.shop, id: change.id)
                if state.pages[key] == nil {
                    state.pages[key] = Page(change: change)
                    state.tally.changes += 1
                }
                guard state.pages[key]?.submitters[submitter] == nil else { continue }
                state.numbers[submitter, default: 0] += 1
                state.pages[key]?.submitters[submitter] = state.numbers[submitter]
            }
            return state.cuts
        }
    }

    /// Notes the answers to changes; those that are missing at the end are unknown.
    ///
    /// - Parameters:
    ///   - receipts: The receipts, in the order of the changes.
    ///   - changes: What was submitted.
    ///   - isApplied: Whether the submitter was told that Postgres has what was accepted.
    ///   - isReplicated: Whether it was told that a replica has it.
    ///   - cuts: What ``submitting(_:by:)`` returned before; nil where nothing is refused.
    /// - Returns: The changes without a place.
    @discardableResult
    package func answered(
        _ receipts: [ReceiptLine], to changes: [PlannedChange], isApplied: Bool, isReplicated: Bool = false,
        cuts: Int? = nil
    ) -> [PlannedChange] {
        state.withLock { state in
            var open: [PlannedChange] = []
            for (index, change) in changes.enumerated() {
                let key = Key(shop: change.shop, id: change.id)
                let receipt = index < receipts.count ? receipts[index] : nil
                switch receipt?.outcome {
                case "accepted": state.tally.accepted += 1
                case "duplicate": state.tally.duplicates += 1
                case "unknown", nil: state.tally.unknown += 1
                case "refused" where receipt?.id == change.id:
                    state.tally.refused += 1
                    state.pages[key]?.wasRefused = true
                    if let partition = receipt?.partition, let after = receipt?.after, let lacking = receipt?.lacking {
                        if cuts == state.cuts {
                            state.refusals.append(
                                Refusal(
                                    place: Place(partition: partition, seq: after), shop: change.shop, id: change.id,
                                    lacking: lacking))
                        }
                    } else {
                        state.wrongAnswers.append(
                            "\(key): refused, and not said for want of what, or behind which place")
                    }
                    continue
                case let outcome?: state.wrongAnswers.append("\(key): the answer was \(outcome)")
                }
                guard let receipt, receipt.id == change.id, let partition = receipt.partition, let seq = receipt.seq
                else {
                    if let receipt, receipt.id != change.id {
                        state.wrongAnswers.append("\(key): the answer was for \(receipt.id)")
                    }
                    open.append(change)
                    continue
                }
                state.pages[key]?.places[Place(partition: partition, seq: seq), default: 0] += 1
                if isApplied { state.pages[key]?.isApplied = true }
                if isReplicated { state.pages[key]?.isReplicated = true }
            }
            return open
        }
    }

    /// Notes that the log lost its tail, and these changes were in it.
    ///
    /// - Parameters:
    ///   - changes: What was in it.
    ///   - withReplicas: Whether replicas lost it with their master; else they have what somebody was told that they have.
    package func cut(_ changes: [(shop: String, id: String)], withReplicas: Bool = true) {
        state.withLock { state in
            for change in changes {
                let key = Key(shop: change.shop, id: change.id)
                state.pages[key]?.wasCut = true
                if withReplicas { state.pages[key]?.wasCutOfReplicas = true }
                state.tally.cut += 1
            }
            state.cuts += 1
            state.refusals = []
        }
    }

    // MARK: - Checking

    /// The changes that the log doesn't have although they were submitted.
    ///
    /// - Returns: Those that were accepted and then cut off the log before Postgres had them, which is what durability
    ///   `server` allows; and those that nobody ever had an answer for.
    package func missing(in contents: StoreContents) -> (cut: [PlannedChange], unanswered: [PlannedChange]) {
        let found = Self.entries(of: contents)
        let pages = state.withLock { $0.pages }
        let missing = pages.filter { found[$0.key] == nil }.sorted { $0.key < $1.key }.map(\.value)
        return (
            missing.filter { !$0.places.isEmpty && $0.mayBeLost }.map(\.change),
            missing.filter { $0.places.isEmpty && !$0.wasRefused }.map(\.change)
        )
    }

    /// The changes that a lost tail held, whether they came back from the ledger or not.
    package var cutChanges: [PlannedChange] {
        state.withLock { $0.pages }.filter(\.value.wasCut).sorted { $0.key < $1.key }.map(\.value.change)
    }

    /// Compares the receipts with the log.
    ///
    /// Every change that was answered with a place is there, once, with what was submitted, and at that place unless a
    /// lost tail held it; nothing is there that nobody submitted; a submitter's changes of a shop are in its order.
    ///
    /// - Parameters:
    ///   - contents: What the stores hold.
    ///   - isComplete: Whether those of ``missing(in:)`` have been submitted again, so that nothing may be missing.
    /// - Returns: What was found.
    package func compared(with contents: StoreContents, isComplete: Bool) -> StoreCheck.Finding {
        let (pages, wrong) = state.withLock { ($0.pages, $0.wrongAnswers) }
        let found = Self.entries(of: contents)
        var differences = wrong
        for (key, page) in pages.sorted(by: { $0.key < $1.key }) {
            let entries = found[key] ?? []
            if entries.count > 1 { differences.append("\(key): \(entries.count) times in the log") }
            guard let entry = entries.first else {
                let mayBeMissing = page.places.isEmpty || page.mayBeLost
                // What is submitted again may be refused by then.
                if !mayBeMissing || isComplete && !page.wasRefused {
                    differences.append(
                        "\(key): \(page.places.isEmpty ? "missing" : "accepted and lost\(page.promise)")")
                }
                continue
            }
            if entry.fields != page.change.logFields {
                differences.append("\(key): the log has another payload under this ID")
            }
            if !page.wasCut, page.places.keys.contains(where: { $0 != entry.place }) {
                differences.append("\(key): at seq \(entry.place.seq), and the answer named another place")
            }
        }
        for key in found.keys.sorted() where pages[key] == nil { differences.append("\(key): nobody submitted it") }
        // An order that was refused at first, and taken when it was tried again, comes behind what was taken in between, also when
        // the program itself tried again, for want of an answer.
        let mayBeRefused = state.withLock { $0.tally.refused > 0 }
        differences += Self.outOfOrder(pages.filter { !(mayBeRefused && $0.value.change.kind == .placed) }, found)
        differences += compareRefusals(contents)
        return StoreCheck.Finding(subject: .receipts, compared: pages.count, differences: differences)
    }

    /// Goes through the log once more, in its order, with nothing but a counter for each SKU: each refusal must have said what was
    /// there behind its place, and that must have been too little; and where any was, no order may have taken more than there was.
    private func compareRefusals(_ contents: StoreContents) -> [String] {
        let (refusals, isUsed) = state.withLock { state in
            defer { state.refusals = [] }
            state.refusalsCompared += state.refusals.count
            return (state.refusals, state.tally.refused > 0)
        }
        guard isUsed else { return [] }
        var differences: [String] = []
        var byPlace = Dictionary(grouping: refusals, by: \.place)
        for (partition, entries) in contents.log.enumerated() {
            var counters: [String: Int64] = [:]
            func settle(_ seq: Int64) {
                for refusal in byPlace.removeValue(forKey: Place(partition: partition, seq: seq)) ?? [] {
                    for line in refusal.lacking {
                        let available = counters["\(refusal.shop) \(line.sku)"] ?? 0
                        if available != line.available || available >= line.wanted {
                            differences.append(
                                "\(refusal.shop) \(refusal.id): refused behind seq \(seq), \(line.wanted) \(line.sku) wanted and "
                                    + "\(line.available) available, where the log gives \(available)")
                        }
                    }
                }
            }
            settle(0)
            for entry in entries {
                let (type, shop) = (entry.fields["type"] ?? "", entry.fields["shop"] ?? "")
                for word in (entry.fields["lines"] ?? "").split(separator: " ") {
                    let parts = word.split(separator: ":")
                    let (sku, quantity) = ("\(shop) \(parts.first ?? "")", parts.last.flatMap { Int64($0) } ?? 0)
                    switch type {
                    case "stock.counted": counters[sku] = quantity
                    case "order.placed":
                        counters[sku, default: 0] -= quantity
                        if counters[sku, default: 0] < 0 {
                            differences.append("\(entry.fields["id"] ?? "?"): more \(sku) is sold than there was")
                        }
                    default: counters[sku, default: 0] += quantity
                    }
                }
                settle(entry.seq ?? -1)
            }
        }
        for place in byPlace.keys {
            differences.append("refused behind seq \(place.seq) of partition \(place.partition), which the log lacks")
        }
        return differences
    }

    private struct Entry {
        let place: Place
        let fields: [String: String]
    }

    private static func entries(of contents: StoreContents) -> [Key: [Entry]] {
        var found: [Key: [Entry]] = [:]
        for (partition, entries) in contents.log.enumerated() {
            for entry in entries {
                var fields = entry.fields
                fields["epoch"] = nil
                fields["seq"] = nil
                found[Key(shop: fields["shop"] ?? "?", id: fields["id"] ?? "?"), default: []].append(
                    Entry(place: Place(partition: partition, seq: entry.seq ?? -1), fields: fields))
            }
        }
        return found
    }

    /// Where a submitter's own changes of a shop are not in the order in which it submitted them.
    private static func outOfOrder(_ pages: [Key: Page], _ found: [Key: [Entry]]) -> [String] {
        struct Step {
            let key: Key
            let number: Int
            let seq: Int64
        }
        var steps: [String: [Step]] = [:]
        for (key, page) in pages where !page.wasCut {
            // Who comes first of two that submit the same is left to chance.
            guard page.submitters.count == 1, let (submitter, number) = page.submitters.first,
                let entry = found[key]?.first
            else { continue }
            steps["\(submitter) \(key.shop)", default: []].append(
                Step(key: key, number: number, seq: entry.place.seq))
        }
        return steps.values.flatMap { steps in
            let steps = steps.sorted { $0.number < $1.number }
            return zip(steps, steps.dropFirst()).compactMap { first, second in
                first.seq < second.seq ? nil : "\(second.key): in the log before \(first.key), submitted earlier"
            }
        }
    }
}
