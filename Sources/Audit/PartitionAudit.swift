package import Inspection
package import OrderLog
import RedisClient
package import RedisLog
import Reports

/// Compares one partition's log with the ledger, and both with the counters and the delivery list, in one pass over the log.
///
/// The sinks are read first, then the log: whatever they have applied is in it by then. So each is compared at its own position,
/// while the pass goes by.
package struct PartitionAudit {
    /// How far the groups had come before the snapshot: nothing above may be gone from the log.
    package struct Start {
        package let look: LogLook
        package let stock: Seq
        package let delivery: Seq
        /// Up to where delivery's jobs are in its list; nil unless they go to another store since.
        package let deliveryEnded: Seq?
        /// The groups that aren't built in, as Redis shows them.
        package let own: [Group: SinkReader.OwnSink]
    }

    package let partition: Partition
    /// All groups of the log: a person may have settled a hole in any.
    package let groups: [Group]
    package let identity: LogIdentity
    package let history: History
    package let start: Start
    /// What Postgres says; nil when it can't be asked, and the log is compared with the sinks in Redis only.
    package let row: LedgerRow?
    package let snapshot: LedgerSnapshot?
    package let log: StreamLog
    package let reader: SinkReader
    /// The shops that have anything, in the ledger or in Redis.
    package let shops: Set<Name>

    /// What is compared with what, and how far the pass has come.
    private struct Pass {
        var findings: AuditFindings
        let letters: LedgerSnapshot.Letters
        let stockInPostgres: [Name: [Name: Int64]]
        let taken: (stock: Set<Seq>, delivery: Set<Seq>)
        /// Redis's counters, the ones that were read at a higher position first.
        var counters: [(shop: Name, stock: SinkReader.Stock)]
        var deliveries: DeliveryCheck
        var shops: [Name: ShopStock] = [:]
    }

    /// Compares.
    ///
    /// - Parameters:
    ///   - limit: How many differences of each subject to keep.
    ///   - incidents: What people have settled.
    /// - Returns: What was found; it holds only if the history is still the same.
    /// - Throws: ``SinkReader/Trouble`` when something can't be looked at, and what the clients throw.
    package func run(limit: Int, incidents: [Incident]) async throws -> AuditFindings {
        var findings = AuditFindings(limit: limit, incidents: incidents)
        let counters = try reader.stock(of: shops, in: partition)
        let list = try DeliveryList(partition, reader)
        // An entry is set aside in the step that moves the position over it: those up to the positions read are all there.
        let aside = try (reader.aside(partition, .stock), reader.aside(partition, .delivery))
        guard let head = try reader.redis.look(at: partition, reader.keys).head?.seq else {
            throw SinkReader.Trouble(text: "its log is gone")
        }
        let stockAt = try max(start.stock, counters.values.map(\.seq).max() ?? reader.position(partition, .stock))
        let positions = [(Group.postgres, row?.position.seq), (.stock, stockAt), (.delivery, list.seq)]
        for case (let group, let seq?) in positions {
            findings.count(.positions)
            if seq > head {
                findings.differ(
                    .positions, in: partition.number, "the position of \(group.name)",
                    expected: "at most \(head), the log's last seq", found: "\(seq)")
            }
        }
        // What a sink of one's own has was applied by Postgres before.
        let (most, why) = row.map { ($0.position.seq, "as far as the ledger goes") } ?? (head, "the log's last seq")
        for (group, sink) in start.own.sorted(by: { $0.key.name < $1.key.name }) {
            let seq = sink.seq
            findings.count(.positions)
            if let (found, expected) = sink.handed {
                findings.count(.positions)
                if found != expected {
                    findings.differ(
                        .positions, in: partition.number, "what \(group.name) was handed",
                        expected: "\(expected) changes, up to seq \(seq)", found: "\(found)")
                }
            }
            if seq > most {
                findings.differ(
                    .positions, in: partition.number, "the position of \(group.name)",
                    expected: "at most \(most), \(why)", found: "\(seq)")
            }
        }
        let home = shops.filter { identity.partitioning.partition(ofShop: $0.text) == partition }
        let deliveries = DeliveryCheck(
            list, endingAt: start.deliveryEnded, in: partition, taken: aside.1.taken, &findings)
        var letters = try snapshot?.letters(of: partition) ?? LedgerSnapshot.Letters()
        if snapshot == nil { letters.byHand = aside.0.byHand.union(aside.1.byHand) }
        var pass = Pass(
            findings: findings, letters: letters, stockInPostgres: try snapshot?.stock(of: home) ?? [:],
            taken: (aside.0.taken, aside.1.taken),
            counters: counters.map { ($0.key, $0.value) }.sorted { ($1.stock.seq, $1.shop) < ($0.stock.seq, $0.shop) },
            deliveries: deliveries)
        try await go(to: max(head, accounted), &pass)
        return pass.findings
    }

    private static let overtaken = SinkReader.Trouble(
        text:
            "its log was trimmed meanwhile, further than Postgres was when this began. Try again, or keep more: the setting trim"
    )

    /// Up to here every entry was judged by Postgres, or without it by a sink in Redis.
    private var accounted: Seq { row?.position.seq ?? max(start.stock, start.delivery) }

    private func go(to end: Seq, _ pass: inout Pass) async throws {
        let position = accounted
        var cursor = LogCursor(
            log, partition, identity.partitioning, byHand: pass.letters.byHand, position: position)
        var ledger = try snapshot?.ledger(of: partition)
        var seq = Seq.none
        // Below this everybody had applied it when it went, be it behind our look at the positions.
        var trimmed = start.look.head?.first ?? .none
        compareStock(at: seq, position, &pass)
        while seq < end {
            seq = seq.next
            let found = try await cursor.entry(at: seq)
            if case .trimmed = found, seq > min(start.stock, start.delivery, position), seq >= trimmed {
                trimmed = try reader.redis.look(at: partition, reader.keys).head?.first ?? .none
            }
            if case .trimmed = found, seq > position, seq < trimmed { throw Self.overtaken }
            let row = seq <= position ? try ledger?.row(at: seq) : nil
            let letter = pass.letters.bySeq[seq]
            if let change = change(at: seq, found, row, letter, wasTrimmed: seq < trimmed, &pass.findings) {
                apply(change, at: seq, letter, &pass)
            } else if case .entry = found {
                // Set aside by every sink alike.
            } else if snapshot == nil, case .trimmed = found {
                throw SinkReader.Trouble(
                    text: "its log doesn't begin with seq 1, and what came before only Postgres could tell")
            } else if seq > position || snapshot == nil {
                // Nobody knows what it was, so nothing behind it can be folded.
                break
            }
            compareStock(at: seq, position, &pass)
        }
        try await cursor.finish(after: seq)
        try ledger?.close()
        pass.deliveries.finish(&pass.findings)
        for (seq, id) in cursor.repeated {
            pass.findings.differ(
                .log, in: partition.number, at: seq.number, "entry \(id)",
                expected: "no second entry of this place", found: "one")
        }
    }

    /// The change at a place: the log's, or the ledger's where the log has it no more.
    private func change(
        at seq: Seq, _ found: LogCursor.Found, _ row: LedgerCursor.Row?, _ letter: LedgerSnapshot.Letter?,
        wasTrimmed: Bool, _ findings: inout AuditFindings
    ) -> Change? {
        if case .entry(let entry) = found { return check(entry, at: seq, row, letter, &findings) }
        let kept = row?.change ?? (letter?.reason == LedgerSnapshot.takenReason ? letter?.change : nil)
        let name = (row?.name ?? kept?.name) ?? "seq \(seq)"
        func differ(_ expected: String, _ found: String, settledIn groups: [Group] = []) {
            findings.differ(
                .log, in: partition.number, at: seq.number, name, expected: expected, found: found, settledIn: groups)
        }
        if case .missing = found {
            differ("an entry in the log", "none", settledIn: groups)
        } else if !wasTrimmed, seq > min(start.stock, start.delivery, accounted) {
            differ("an entry in the log, until every group has applied it", "none", settledIn: groups)
        } else if let row, let kept, let field = row.difference(from: kept) {
            differ("the ledger's fields to agree", "another \(field)")
        } else if row != nil, kept == nil {
            differ("a change in the ledger", "fields that are none")
        }
        return kept
    }

    /// Compares an entry with what Postgres did with it.
    private func check(
        _ entry: Entry, at seq: Seq, _ row: LedgerCursor.Row?, _ letter: LedgerSnapshot.Letter?,
        _ findings: inout AuditFindings
    ) -> Change? {
        findings.count(.log)
        guard case .change(let change) = entry.content else {
            if let row {
                findings.differ(
                    .log, in: partition.number, at: seq.number, row.name, expected: "a dead letter: it is no change",
                    found: "a row of the ledger")
            }
            return nil
        }
        if let letter, letter.reason != LedgerSnapshot.takenReason {
            findings.differ(
                .log, in: partition.number, at: seq.number, change.name,
                expected: "a row of the ledger: it is a change",
                found: "a dead letter: \(letter.reason)")
        } else if let row, let field = row.difference(from: change) {
            findings.differ(
                .log, in: partition.number, at: seq.number, change.name, expected: "the same in log and ledger",
                found: "another \(field)")
        }
        return change
    }

    private func apply(
        _ change: Change, at seq: Seq, _ letter: LedgerSnapshot.Letter?, _ pass: inout Pass
    ) {
        let shop = Name(change.shop)
        if pass.shops[shop] == nil, !shops.contains(shop), seq <= start.stock,
            !pass.taken.stock.contains(seq)
        {
            // Only without Postgres: with it every shop of the ledger is looked for in Redis.
            pass.findings.differ(
                .stockInRedis, in: partition.number, at: seq.number, change.shop, expected: "its counters",
                found: "none")
        }
        let stock = pass.shops[shop] ?? ShopStock()
        pass.shops[shop] = stock
        stock.apply(
            change, toPostgres: seq <= accounted && letter == nil, toRedis: !pass.taken.stock.contains(seq))
        pass.deliveries.next(change, at: seq, &pass.findings)
        let groups = [
            letter?.reason == LedgerSnapshot.takenReason ? Group.postgres : nil,
            pass.taken.stock.contains(seq) ? .stock : nil, pass.taken.delivery.contains(seq) ? .delivery : nil,
        ].compactMap(\.self)
        if (1..<Group.builtIn.count).contains(groups.count) {
            pass.findings.explain(
                AuditExplanation(
                    partition: partition.number, seq: seq.number, name: change.name,
                    groups: groups.map(\.name)))
        }
    }

    /// Compares the stock of the sinks that stand at this place.
    private func compareStock(at seq: Seq, _ position: Seq, _ pass: inout Pass) {
        if seq == position, snapshot != nil {
            for shop in shops.sorted() where identity.partitioning.partition(ofShop: shop.text) == partition {
                ShopStock.compare(
                    .stockInPostgres, of: shop.text, in: partition, at: seq,
                    expected: pass.shops[shop]?.inPostgres ?? [:],
                    found: (pass.stockInPostgres[shop] ?? [:]).mapValues { String($0) }, &pass.findings)
            }
        }
        while let (shop, stock) = pass.counters.last, stock.seq == seq {
            pass.counters.removeLast()
            guard let onHand = stock.onHand else {
                pass.findings.differ(
                    .stockInRedis, in: partition.number, shop.text, expected: "a hash of its SKUs",
                    found: "something else")
                continue
            }
            ShopStock.compare(
                .stockInRedis, of: shop.text, in: partition, at: seq, expected: pass.shops[shop]?.inRedis ?? [:],
                found: onHand, &pass.findings)
        }
    }
}

extension Change {
    /// What people know it by.
    fileprivate var name: String { "\(shop) \(id)" }
}
