package import OrderLog

/// What a program, or a person, is in Redis and Postgres, by what it does there.
///
/// Beside them are the roles over HTTP, which tell what may be asked of a process that has one of these.
package enum StoreRole: Hashable, Sendable, CustomStringConvertible {
    /// What a group's workers apply to, by what they need of the log's servers.
    package enum Sink: Hashable, Sendable {
        case postgres, stock, delivery, script
        /// A store that the log's servers don't hold: a function in another Postgres, a webhook, Kafka.
        case elsewhere
        /// An application's, which records its group itself.
        case own

        /// - Parameters:
        ///   - group: Whose sink it is.
        ///   - kind: What it is recorded as; nil for a built-in group's own, and nothing else.
        package init?(of group: Group, kind: String?) {
            switch (kind, group) {
            case (nil, .postgres), ("postgres", .postgres): self = .postgres
            case (nil, .stock), ("stock", .stock): self = .stock
            case (nil, .delivery), ("delivery", .delivery): self = .delivery
            case ("redis-script", _): self = .script
            case ("own", _): self = .own
            case ("postgres", _), ("webhook", _), ("kafka", _): self = .elsewhere
            default: return nil
            }
        }
    }

    /// Appends changes, and waits for them.
    case submit
    /// Serves a group.
    case worker(Group, Sink)
    /// Serves all groups, those to come, too.
    case workers
    /// Sees everything, changes nothing.
    case read
    /// Sees everything and mends: dead letters, repair, rebuilding, trimming, opening, groups.
    case operate
    /// Makes the log, brings it to a newer format, and does all that the others do.
    case admin

    /// As `--role` has it.
    package var description: String {
        switch self {
        case .submit: "submit"
        case .worker(let group, _): "worker:\(group)"
        case .workers: "worker"
        case .read: "read"
        case .operate: "operate"
        case .admin: "admin"
        }
    }

    /// As a part of a user's name.
    package var suffix: String { description.replacing(":", with: "-") }
}
