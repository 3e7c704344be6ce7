/// Compares what the stores hold with what was submitted, and with what the log gives when it is folded by hand.
///
/// A pure function of ``StoreContents`` and the receipts; none of the code under test.
package struct StoreCheck: Sendable {
    /// One thing that was compared.
    package struct Finding: Sendable {
        package let subject: Subject
        /// How many were compared.
        package let compared: Int
        package let differences: [String]
    }

    package enum Subject: String, Sendable, CaseIterable {
        case receipts = "receipts and log"
        case log = "log without holes"
        case ledger = "ledger"
        case orders = "orders"
        case orderLines = "order lines"
        case stockInPostgres = "stock in Postgres"
        case stockInRedis = "stock in Redis"
        case deliveries = "deliveries"
        case positions = "positions"
        case pending = "pending and dead letters"
    }

    package let findings: [Finding]

    package var isClean: Bool { findings.allSatisfy(\.differences.isEmpty) }
    /// Where something differs.
    package var differing: [Subject] { findings.filter { !$0.differences.isEmpty }.map(\.subject) }

    /// - Parameters:
    ///   - contents: What the stores hold.
    ///   - submissions: All that was submitted, with the receipts.
    ///   - answersMayBeLost: Whether a submitter may have lost its connection behind an append.
    package init(_ contents: StoreContents, _ submissions: [Submission], answersMayBeLost: Bool = false) {
        self.init(
            contents,
            receipts: Finding(
                subject: .receipts, compared: submissions.count,
                differences: Self.receipts(contents, submissions, answersMayBeLost: answersMayBeLost)))
    }

    /// - Parameters:
    ///   - contents: What the stores hold.
    ///   - receipts: What was found of the receipts.
    package init(_ contents: StoreContents, receipts: Finding) {
        let fold = LogFold(contents)
        func finding(_ subject: Subject, _ compared: Int, _ differences: [String]) -> Finding {
            Finding(subject: subject, compared: compared, differences: differences)
        }
        findings = [
            receipts,
            finding(.log, contents.log.map(\.count).reduce(0, +), Self.holes(contents)),
            finding(.ledger, contents.ledger.map(\.count).reduce(0, +), Self.ledger(contents)),
            finding(.orders, contents.orders.count, compare(fold.orders, contents.orders)),
            finding(
                .orderLines, contents.orderLines.values.map(\.count).reduce(0, +),
                compare(fold.orderLines, contents.orderLines)),
            finding(.stockInPostgres, contents.stockInPostgres.count, compare(fold.stock, contents.stockInPostgres)),
            finding(.stockInRedis, contents.stockInRedis.count, compare(fold.stock, contents.stockInRedis)),
            finding(.deliveries, contents.deliveries.map(\.count).reduce(0, +), Self.deliveries(contents, fold)),
            finding(.positions, contents.positions.values.map(\.count).reduce(0, +), Self.positions(contents)),
            finding(.pending, contents.pending.values.map(\.count).reduce(0, +), Self.pending(contents)),
        ]
    }

    // MARK: - The log

    /// Every receipt names an entry that is there, with what was submitted; every entry has one accepted receipt.
    ///
    /// When answers were lost on the way, the retry's says "duplicate": then every entry has a receipt of either kind.
    private static func receipts(
        _ contents: StoreContents, _ submissions: [Submission], answersMayBeLost: Bool
    ) -> [String] {
        struct Place: Hashable {
            let partition: Int
            let seq: Int64
        }
        var differences: [String] = []
        var accepted: [Place: String] = [:]
        let bySeq = contents.log.map { Dictionary(grouping: $0) { $0.seq ?? -1 } }
        for submission in submissions {
            let (change, receipt) = (submission.change, submission.receipt)
            guard receipt.id == change.id, ["accepted", "duplicate"].contains(receipt.outcome),
                let partition = receipt.partition, let seq = receipt.seq, contents.log.indices.contains(partition)
            else {
                differences.append("\(change.shop) \(change.id): the answer was \(receipt.outcome)")
                continue
            }
            let place = "partition \(partition) seq \(seq)"
            if answersMayBeLost {
                accepted[Place(partition: partition, seq: seq)] = change.id
            } else if receipt.outcome == "accepted",
                let other = accepted.updateValue(change.id, forKey: Place(partition: partition, seq: seq))
            {
                differences.append("\(change.shop) \(change.id): accepted at \(place), where \(other) was accepted")
            }
            let found = bySeq[partition][seq] ?? []
            guard found.count == 1, let entry = found.first else {
                differences.append("\(change.shop) \(change.id): \(found.count) entries at \(place), expected 1")
                continue
            }
            var fields = entry.fields
            fields["epoch"] = nil
            fields["seq"] = nil
            if entry.entry != receipt.entry || fields != change.logFields {
                differences.append("\(change.shop) \(change.id): the entry at \(place) is another one")
            }
        }
        let entries = contents.log.map(\.count).reduce(0, +)
        if accepted.count != entries {
            differences.append("\(accepted.count) changes were accepted, and the log has \(entries) entries")
        }
        let ids = contents.log.joined().map { "\($0.fields["shop"] ?? "?") \($0.fields["id"] ?? "?")" }
        for (id, times) in Dictionary(ids.map { ($0, 1) }, uniquingKeysWith: +).sorted(by: <) where times > 1 {
            differences.append("\(id): \(times) times in the log")
        }
        return differences
    }

    private static func holes(_ contents: StoreContents) -> [String] {
        contents.log.enumerated().compactMap { partition, entries in
            let seqs = entries.map { $0.seq ?? -1 }
            guard seqs != (0..<entries.count).map({ Int64($0 + 1) }) else { return nil }
            return "partition \(partition): seq isn't 1…\(entries.count), each once and in order"
        }
    }

    // MARK: - The sinks

    private static func ledger(_ contents: StoreContents) -> [String] {
        contents.log.indices.flatMap { partition in
            let expected = contents.log[partition].map {
                StoreContents.LedgerRow(seq: $0.seq ?? -1, entry: $0.entry, fields: $0.fields)
            }
            return compareInOrder(expected, contents.ledger[partition], in: "partition \(partition)") {
                "seq \($0.seq) \($0.fields["shop"] ?? "?") \($0.fields["id"] ?? "?")"
            }
        }
    }

    private static func deliveries(_ contents: StoreContents, _ fold: LogFold) -> [String] {
        contents.log.indices.flatMap { partition in
            compareInOrder(
                fold.deliveries[partition].map(sortedJSON), contents.deliveries[partition].map(sortedJSON),
                in: "partition \(partition)"
            ) { $0 }
        }
    }

    private static func positions(_ contents: StoreContents) -> [String] {
        StoreContents.groups.flatMap { group in
            contents.log.indices.compactMap { partition -> String? in
                let (found, expected) = (contents.positions[group]?[partition], Int64(contents.log[partition].count))
                guard found != expected else { return nil }
                return "\(group) partition \(partition): at seq \(found ?? -1), and the log ends at \(expected)"
            }
        }
    }

    private static func pending(_ contents: StoreContents) -> [String] {
        let pending = StoreContents.groups.flatMap { group in
            (contents.pending[group] ?? []).enumerated().filter { $0.element != 0 }.map {
                "\(group) partition \($0.offset): \($0.element) entries pending"
            }
        }
        return pending + (contents.deadLetters == 0 ? [] : ["\(contents.deadLetters) dead letters"])
    }
}

extension PlannedChange {
    /// The fields of its entry, but for its place.
    var logFields: [String: String] {
        var fields = ["type": kind.rawValue, "id": id, "shop": shop, "lines": linesText]
        fields["customer"] = customer
        fields["order"] = order
        fields["attributes"] = attributes
        return fields
    }
}

/// What differs between two tables, a line a key.
private func compare<Key: Hashable & Comparable & CustomStringConvertible, Value: Equatable>(
    _ expected: [Key: Value], _ found: [Key: Value]
) -> [String] {
    Set(expected.keys).union(found.keys).sorted().compactMap { key in
        switch (expected[key], found[key]) {
        case (let expected?, let found?) where expected == found: nil
        case (let expected?, let found?): "\(key): the log gives \(expected), found \(found)"
        case (_?, nil): "\(key): missing"
        case (nil, _): "\(key): not in the log"
        }
    }
}

/// What differs between two lists: first what is missing or too many, then the order.
private func compareInOrder<Item: Hashable>(
    _ expected: [Item], _ found: [Item], in place: String, _ name: (Item) -> String
) -> [String] {
    guard expected != found else { return [] }
    var surplus: [Item: Int] = [:]
    for item in found { surplus[item, default: 0] += 1 }
    for item in expected { surplus[item, default: 0] -= 1 }
    let differences = surplus.filter { $0.value != 0 }.map { item, count in
        "\(place): \(name(item)): \(count < 0 ? "missing" : "there \(count) times more than in the log")"
    }
    guard differences.isEmpty else { return differences.sorted() }
    let at = zip(expected, found).enumerated().first { $0.element.0 != $0.element.1 }
    return at.map { ["\(place): not in the log's order from place \($0.offset + 1) on: \(name($0.element.1))"] } ?? []
}
