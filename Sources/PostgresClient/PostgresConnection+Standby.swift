import CLibpq
package import ThreadedIO

extension PostgresConnection {
    /// Why nothing can be written here, when the server is a standby; nil for a primary, and before Postgres 14 for both.
    ///
    /// It names the primary where it streams from one, and this role may see that.
    ///
    /// - Throws: As ``query(_:_:until:)``.
    ///
    /// Postgres: <https://www.postgresql.org/docs/15/hot-standby.html>
    package func standbyTrouble(until deadline: Deadline) throws(PostgresError) -> String? {
        guard let handle, let state = PQparameterStatus(handle, "in_hot_standby"), String(cString: state) == "on" else {
            return nil
        }
        let primary = try query(
            "SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver", until: deadline
        ).first?.string(0)
        return "Postgres at \(address) is a standby\(primary.map { " of \($0)" } ?? ""), and takes no writes. Point "
            + "DATABASE_URL at the primary"
    }
}
