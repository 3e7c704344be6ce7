/// What a pooler between us and Postgres doesn't let through, in words that say what to do.
///
/// Poolers have no SQLSTATE of their own for it: only their message tells.
///
/// pgbouncer: <https://www.pgbouncer.org/features.html>
struct PoolerRefusal {
    let text: String

    /// Reads a pooler's message; nil when it is about something else.
    init?(_ message: String) {
        if let parameter = message.firstMatch(of: /unsupported startup parameter(?: in options)?: (\w+)/) {
            text =
                "a pooler in front of Postgres does not take the parameter \(parameter.1) that is given with the "
                + "connection. Take it out of the URL (or PGOPTIONS, or the service file): Onewrite sends its own "
                + "settings with each transaction. Or give a URL that leads to Postgres itself"
        } else if message.contains("transaction blocks not allowed in statement pooling mode") {
            text =
                "it leads through a pooler in statement mode, and this command must see Postgres at one moment over "
                + "several statements. Set pool_mode=transaction (or session) for this database in the pooler, or give "
                + "a URL that leads to Postgres itself"
        } else if let database = message.firstMatch(of: /no such database: (.+)/) {
            text =
                "the pooler in front of Postgres knows no database \(database.1). Name it in the pooler's configuration "
                + "([databases] in pgbouncer.ini), or another one in the URL"
        } else {
            return nil
        }
    }
}
