package import OrderLog
import PostgresClient
import ThreadedIO

/// What the ledger gives for a log that lost its tail.
extension PostgresSink {
    package func entries(in partition: Partition, after seq: Seq, limit: Int) async throws -> [LedgerEntry] {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.entries, [.integer(Int64(partition.number)), .integer(seq.number), .integer(Int64(limit))],
                until: .after(Self.timeout))
            var entries: [LedgerEntry] = []
            for row in rows { entries.append(try LedgerEntry(row)) }
            return entries
        }
    }

    package func entriesByHand(in partition: Partition, limit: Int) async throws -> Set<EntryID> {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.entriesByHand, [.integer(Int64(partition.number)), .integer(Int64(limit))],
                until: .after(Self.timeout))
            return Set(rows.compactMap { row in row.string(0).flatMap(EntryID.init) })
        }
    }

    package func admittedShops(in partition: Partition) async throws -> [String] {
        try translatingPostgresErrors { () throws(PostgresError) in
            try Admission.shops(on: connection, until: .after(Self.timeout))
                .filter { $0.partition == partition }.map(\.shop)
        }
    }

    package func locations(in partition: Partition, at seqs: [Seq]) async throws -> [Seq: EntryLocation] {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.locations, [.integer(Int64(partition.number)), .integers(seqs.map(\.number))],
                until: .after(Self.timeout))
            var locations: [Seq: EntryLocation] = [:]
            for row in rows {
                guard let entry = EntryID(try row.requireString(2)) else { continue }
                let seq = Seq(try row.requireInt64(0))
                locations[seq] = EntryLocation(
                    place: Place(epoch: Epoch(try row.requireInt64(1)), seq: seq), entry: entry)
            }
            return locations
        }
    }

    package func relocate(
        _ partition: Partition, epoch: Epoch, to locations: [EntryLocation]
    ) async throws -> Bool {
        try translatingPostgresErrors { () throws(PostgresError) in
            let rows = try connection.query(
                Self.relocate,
                [
                    .integer(Int64(partition.number)), .integer(epoch.number),
                    .integers(locations.map(\.place.seq.number)), .integers(locations.map(\.place.epoch.number)),
                    .texts(locations.map(\.entry.description)),
                ], until: .after(Self.timeout))
            return !rows.isEmpty
        }
    }

    private static let entries = """
        (SELECT seq, NULL::bytea AS fields, digest, type, id, shop, customer, order_id, lines, attributes, epoch, entry
        FROM ledger WHERE partition = $1 AND seq > $2 ORDER BY seq LIMIT $3)
        UNION ALL
        (SELECT seq, fields, '', '', '', '', NULL, NULL, '', NULL, epoch, entry
        FROM dead_letters WHERE partition = $1 AND seq > $2 ORDER BY seq LIMIT $3)
        ORDER BY seq LIMIT $3
        """

    private static let entriesByHand =
        "SELECT DISTINCT entry FROM dead_letters WHERE partition = $1 AND seq IS NULL LIMIT $2"

    private static let locations = """
        SELECT seq, epoch, entry FROM ledger WHERE partition = $1 AND seq = ANY ($2::bigint[])
        UNION ALL
        SELECT seq, epoch, entry FROM dead_letters WHERE partition = $1 AND seq = ANY ($2::bigint[])
        """

    private static let relocate = """
        WITH mine AS (SELECT partition FROM partitions WHERE partition = $1 AND epoch = $2 FOR UPDATE),
        healed AS (
            SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::text[]) AS h (seq, epoch, entry)
            WHERE EXISTS (SELECT FROM mine)
        ),
        ledgered AS (
            UPDATE ledger AS l SET epoch = h.epoch, entry = h.entry
            FROM healed AS h WHERE l.partition = $1 AND l.seq = h.seq
        ),
        dead AS (
            UPDATE dead_letters AS d SET epoch = h.epoch, entry = h.entry
            FROM healed AS h WHERE d.partition = $1 AND d.seq = h.seq
        )
        SELECT partition FROM mine
        """
}

extension LedgerEntry {
    /// Reads a row of `entries`: of the ledger, or of the dead letters when it has `fields`.
    fileprivate init(_ row: PostgresRow) throws(PostgresError) {
        let seq = Seq(try row.requireInt64(0))
        let epoch = Epoch(try row.requireInt64(10))
        let location = row.string(11).flatMap { EntryID($0) }.map {
            EntryLocation(place: Place(epoch: epoch, seq: seq), entry: $0)
        }
        if let framed = row.bytes(1) {
            self.init(seq: seq, deadLetter: DeadLetterFields.fields(of: framed), location: location)
            return
        }
        let names = ["type", "id", "shop", "customer", "order", "lines", "attributes"]
        var fields: [EntryField] = []
        for (column, name) in zip(3..., names) {
            guard let value = row.string(column) else { continue }
            fields.append(EntryField(name: Array(name.utf8), value: Array(value.utf8)))
        }
        let change = AppendedChange(
            shop: try row.requireString(5), id: try row.requireString(4), digest: try row.requireString(2))
        self.init(seq: seq, fields: fields, change: change, location: location)
    }
}

/// How `dead_letters.fields` holds names and values: by turns, each behind its length in four bytes.
package enum DeadLetterFields {
    static func framed(_ fields: [EntryField]) -> [UInt8] {
        fields.flatMap { framed($0.name) + framed($0.value) }
    }

    /// The fields of such bytes; what is cut off at the end is left out.
    package static func fields(of bytes: [UInt8]) -> [EntryField] {
        var strings: [[UInt8]] = []
        var rest = bytes[...]
        while rest.count >= 4 {
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard rest.count >= length else { break }
            strings.append(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return stride(from: 0, to: strings.count - 1, by: 2).map {
            EntryField(name: strings[$0], value: strings[$0 + 1])
        }
    }

    private static func framed(_ bytes: [UInt8]) -> [UInt8] {
        withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
    }
}
