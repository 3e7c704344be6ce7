package import OrderLog
package import PostgresClient
package import ThreadedIO

/// The shops whose orders are admitted only as far as stock covers them: Postgres has the last word on which they are.
///
/// Redis has them too, beside the log, and may lose that with its tail: whoever opens the log puts it right.
package enum Admission {
    /// The first format whose logs have it: a program that knows only earlier ones would append without looking.
    package static let format = LogFormat.names

    /// Which they are.
    ///
    /// - Parameters:
    ///   - connection: With the schema in its search path.
    ///   - deadline: When to give up.
    /// - Returns: By name; none in a schema of an earlier format.
    /// - Throws: `PostgresError`.
    package static func shops(
        on connection: PostgresConnection, until deadline: Deadline
    ) throws(PostgresError) -> [(shop: String, partition: Partition)] {
        let exists = try connection.query("SELECT to_regclass('admission') IS NOT NULL", until: deadline).first
        guard exists?.bool(0) == true else { return [] }
        var shops: [(String, Partition)] = []
        for row in try connection.query("SELECT shop, partition FROM admission ORDER BY shop", until: deadline) {
            shops.append((try row.requireString(0), Partition(Int(try row.requireInt64(1)))))
        }
        return shops
    }

    /// Writes down that a shop wants it, or doesn't any more.
    package static func set(
        _ isOn: Bool, for shop: String, in partition: Partition, on connection: PostgresConnection,
        until deadline: Deadline
    ) throws(PostgresError) {
        if isOn {
            _ = try connection.query(
                "INSERT INTO admission (shop, partition) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                [.text(shop), .integer(Int64(partition.number))], until: deadline)
        } else {
            _ = try connection.query("DELETE FROM admission WHERE shop = $1", [.text(shop)], until: deadline)
        }
    }
}
