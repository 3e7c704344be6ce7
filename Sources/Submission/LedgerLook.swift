package import ChangeInput
package import Connections
package import OrderLog
import PostgresClient
import RedisLog
import Sinks
package import ThreadedIO

/// Asks Postgres which orders it has already, however long ago they were submitted: the log remembers IDs for a while only.
///
/// What Postgres has not applied yet it can't tell; the idempotency window can.
package struct LedgerLook {
    /// What Postgres says of a row.
    package enum Finding {
        /// Nothing: the log has to be asked.
        case unknown
        /// The order is in the ledger, with this payload or another one.
        case known(RowReceipt.Outcome)
        /// The order whose cancellation it is was cancelled, or all of it came back.
        case isOver
        /// It can't be, and why.
        case refused(FieldError)
    }

    /// An order as Postgres has it.
    private struct Order {
        let seq: Seq
        let epoch: Epoch
        let entry: EntryID
        let digest: Digest?
        let status: String
        let cameBack: Bool
    }

    private struct Key: Hashable {
        let shop: Name
        let id: Name
    }

    /// How many orders one statement asks for.
    private static let chunk = 1000

    private let servers: Servers
    private var identity: LogIdentity?
    private var connection: PostgresConnection?

    /// Asks nothing yet.
    ///
    /// - Parameters:
    ///   - servers: Where Postgres is.
    ///   - identity: The log, which the schema must belong to; nil for whichever that belongs to.
    package init(_ servers: Servers, of identity: LogIdentity?) {
        (self.servers, self.identity) = (servers, identity)
    }

    /// Looks for the orders of rows, and for the orders that rows cancel.
    ///
    /// - Parameters:
    ///   - rows: In the input's order.
    ///   - deadline: When to give up.
    /// - Returns: A finding for each row.
    /// - Throws: ``LogError``, `PostgresError`; the next look connects again.
    package mutating func look(at rows: [InputRow], until deadline: Deadline) throws -> [Finding] {
        var keys: [Key] = []
        var seen: Set<Key> = []
        for row in rows {
            if let key = Self.key(row), seen.insert(key).inserted { keys.append(key) }
        }
        guard !keys.isEmpty else { return rows.map { _ in .unknown } }
        let (connection, partitioning) = try connected()
        var orders: [Key: Order] = [:]
        for start in stride(from: 0, to: keys.count, by: Self.chunk) {
            let asked = keys[start..<min(start + Self.chunk, keys.count)]
            try Self.take(asked, partitioning, from: connection, into: &orders, until: deadline)
        }
        return rows.map { row in
            guard case .success(let change) = row.result, let key = Self.key(row), let order = orders[key] else {
                return .unknown
            }
            guard change.kind == .orderPlaced else {
                if order.status != "placed" { return .isOver }
                return order.cameBack ? .refused(Self.cameBack) : .unknown
            }
            let result = Appender.Result(
                outcome: order.digest == Digest(of: change) ? .duplicate : .conflict, seq: order.seq, entry: order.entry
            )
            return .known(
                .answered(result, in: partitioning.partition(ofShop: change.shop), epoch: order.epoch))
        }
    }

    private static let cameBack = FieldError(
        "order",
        "came back in part, which a cancellation would give back again. What is left can come back, too: onewrite return"
    )

    /// The order that a row is, or cancels; nil for what is neither.
    private static func key(_ row: InputRow) -> Key? {
        guard case .success(let change) = row.result else { return nil }
        switch change.kind {
        case .orderPlaced: return Key(shop: Name(change.shop), id: Name(change.id))
        case .orderCancelled: return change.order.map { Key(shop: Name(change.shop), id: Name($0)) }
        case .orderReturned, .stockReceived, .stockCounted: return nil
        }
    }

    private static func take(
        _ keys: ArraySlice<Key>, _ partitioning: Partitioning, from connection: PostgresConnection,
        into orders: inout [Key: Order], until deadline: Deadline
    ) throws {
        var (shops, ids, partitions) = (PostgresArray(), PostgresArray(), PostgresArray())
        for key in keys {
            shops.append(key.shop.text)
            ids.append(key.id.text)
            partitions.append(Int64(partitioning.partition(ofShop: key.shop.text).number))
        }
        let rows = try connection.query(
            statement, [.array(shops), .array(ids), .array(partitions)], until: deadline)
        for row in rows {
            let key = keys[keys.startIndex + Int(try row.requireInt64(0)) - 1]
            guard let entry = EntryID(try row.requireString(3)) else { continue }
            orders[key] = Order(
                seq: Seq(try row.requireInt64(1)), epoch: Epoch(try row.requireInt64(2)), entry: entry,
                digest: Digest(try row.requireString(4)), status: try row.requireString(5),
                cameBack: try row.requireString(6) == "t")
        }
    }

    private mutating func connected() throws -> (PostgresConnection, Partitioning) {
        if let connection, connection.isUsable, let identity { return (connection, identity.partitioning) }
        // The ledger is long, and asked for single places: scanning it is never right.
        let connection = try servers.requiredPostgres { $0.avoidsScans = true }
        guard let found = try PostgresSchema.identity(on: connection), identity == nil || found == identity else {
            throw LogError(
                .badConfiguration,
                "the schema in Postgres is missing, or of another log than Redis's. Run: onewrite init")
        }
        (self.connection, identity) = (connection, found)
        return (connection, found.partitioning)
    }

    private static let statement = """
        SELECT a.number, o.seq, l.epoch, l.entry, l.digest, o.status, EXISTS (
            SELECT FROM order_lines r
            -- Only from format 3 on there is such a column.
            WHERE r.shop = o.shop AND r.order_id = o.id AND (to_jsonb(r) ->> 'returned')::bigint > 0)
        FROM unnest($1::text[], $2::text[], $3::int[]) WITH ORDINALITY AS a (shop, id, partition, number)
        JOIN orders o ON o.shop = a.shop AND o.id = a.id
        JOIN ledger l ON l.partition = a.partition AND l.seq = o.seq AND l.id = o.id AND l.shop = o.shop
        """
}
