package import Connections
package import OrderLog

/// All dead letters, with or without Postgres.
package struct DeadLetterLook: Sendable {
    package let rows: [DeadLetterRow]
    /// Why Postgres, although configured, couldn't be asked.
    package let trouble: String?

    /// Reads them.
    ///
    /// - Parameter servers: Where.
    /// - Throws: ``LogError`` or the servers' errors.
    package init(_ servers: Servers) throws {
        let stores = try DeadLetterStores(servers, isPostgresNeeded: false)
        let found = try stores.read()
        rows = found.letters.map {
            DeadLetterRow(letter: $0, now: found.now, knowsPostgres: stores.postgres != nil)
        }
        trouble = stores.trouble
    }

    /// Some of them.
    ///
    /// - Parameters:
    ///   - names: Only these letters; all when there are none.
    ///   - group: Only what this group set aside.
    ///   - reason: Only what was set aside for this reason.
    ///   - withResolved: Whether those that were retried or dropped are among them.
    /// - Returns: The rows, in the log's order.
    package func chosen(
        named names: [String] = [], group: Group? = nil, reason: DeadLetter.Reason? = nil, withResolved: Bool = false
    ) -> [DeadLetterRow] {
        rows.filter { row in
            (withResolved || !row.letter.isResolved) && (names.isEmpty || names.contains(where: row.letter.isNamed))
                && (group.map(row.letter.groups.contains) ?? true) && row.letter.has(reason: reason)
        }
    }
}

extension DeadLetter {
    /// Whether any group set it aside for that reason; nil is any.
    package func has(reason: Reason?) -> Bool {
        reason == nil || parts.contains { $0.reason == reason?.rawValue }
    }
}
