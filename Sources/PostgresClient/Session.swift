/// The server's session behind a connection, as far as it is known.
///
/// A plan that is kept under a name saves Postgres half a millisecond a batch, and belongs to a session. A pooler may
/// execute each transaction in another one, and lend ours to others. So names are used only where every transaction so far
/// was executed in the process that the server named when we connected: a pooler names one of its own making there.
/// Nothing rests on that being so. A name says which SQL it stands for, and where it is missing the statement is sent again
/// without one.
struct Session {
    /// Whether it is this connection's alone; nil until a transaction has told, and false for ever once it wasn't.
    var isOurs: Bool?
    /// The names that it knows.
    var names: Set<String> = []

    /// What the SQL is called in every session: 64 bits of FNV-1a.
    static func name(of sql: String) -> String {
        let hash = sql.utf8.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return "onewrite_\(String(hash, radix: 16))"
    }

    /// What says that a name is missing, or there already, contrary to what is known: nothing was executed.
    static let isOtherState: Set<String> = ["26000", "42P05"]
}
