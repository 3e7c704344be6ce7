/// What has to hold before a change counts as accepted, and before a duplicate is said to be one.
///
/// A level that isn't reached in time makes the outcome unknown, never accepted.
public enum Durability: Hashable, Sendable {
    /// What the server's own policy gives.
    case server
    /// On the server's disk.
    case fsync
    /// In the memory of so many replicas too.
    case replicas(Int)
    /// Postgres accounts for the change.
    case applied

    /// More replicas than anybody has; a larger number is a mistake.
    private static let replicasRange = 1...100

    /// Reads `server`, `fsync`, `replicas=2` or `applied`; nil for any other text.
    public init?(text: String) {
        switch text {
        case "server": self = .server
        case "fsync": self = .fsync
        case "applied": self = .applied
        default:
            guard text.hasPrefix("replicas="), let count = Int(text.dropFirst("replicas=".count)),
                Self.replicasRange.contains(count)
            else { return nil }
            self = .replicas(count)
        }
    }
}

extension Durability: CustomStringConvertible {
    /// As in settings: `replicas=2`.
    public var description: String {
        switch self {
        case .server: "server"
        case .fsync: "fsync"
        case .replicas(let count): "replicas=\(count)"
        case .applied: "applied"
        }
    }
}
