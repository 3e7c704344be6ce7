package import OrderLog

/// Patterns of keys and channels, as access control lists have them.
///
/// They begin with a digit where a partition's number stands, so a log whose namespace begins with this one's is outside. Names
/// of namespaces, groups and workers hold nothing that a pattern takes for more than itself.
extension Keys {
    /// What a key of a partition may be, of any partition.
    package enum Kind: Hashable, Sendable {
        case head, log, seen, seenParts, deliveries, shops, stock, shadows, admission, available
        /// A group's; nil for every group's.
        case position(Group?), lease(Group?), dead(Group?), own(Group?)
    }

    /// Keys of that kind in every partition.
    package func pattern(_ kind: Kind) -> String {
        let rest =
            switch kind {
            case .head: "head"
            case .log: "log"
            case .seen: "seen"
            case .seenParts: "seen:*"
            case .deliveries: "deliveries"
            case .shops: "shops"
            case .stock: "stock:*"
            case .shadows: "rebuild:*"
            case .admission: "admission"
            case .available: "available:*"
            case .position(let group): "position:\(group?.name ?? "*")"
            case .lease(let group): "lease:\(group?.name ?? "*")"
            case .dead(let group): "dead:\(group?.name ?? "*")"
            case .own(let group): "own:\(group?.name ?? "*"):*"
            }
        return "{\(namespace):[0-9]*}:\(rest)"
    }

    /// Every key of every partition.
    package var partitionsPattern: String { "{\(namespace):[0-9]*}:*" }
    /// The members of a group; nil for every group's.
    package func workersPattern(_ group: Group?) -> String { "\(namespace):workers:\(group?.name ?? "*")" }
    /// What a group's workers say of themselves; nil for every group's.
    package func reportsPattern(_ group: Group?) -> String { "\(namespace):worker:\(group?.name ?? "*"):*" }
    /// The channels of a group's workers' presence; nil for every group's.
    package func presencePattern(_ group: Group?) -> String { "\(namespace):present:\(group?.name ?? "*"):*" }
}
