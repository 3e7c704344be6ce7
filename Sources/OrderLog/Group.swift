/// A consumer group of the log, and the sink of the same name that follows it.
///
/// Three are built in; any other name is a sink of one's own.
public struct Group: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// 1 to 32 of `[a-z0-9-]`, the first one a letter.
    public let name: String

    /// Takes a name.
    ///
    /// - Parameter name: `[a-z][a-z0-9-]{0,31}`; nil for any other text.
    public init?(_ name: String) {
        guard (1...32).contains(name.utf8.count), name.utf8.allSatisfy(Alphabet.group.contains),
            name.utf8.first.map((UInt8(ascii: "a")...UInt8(ascii: "z")).contains) == true
        else { return nil }
        self.name = name
    }

    private init(builtIn name: String) {
        self.name = name
    }

    /// Orders, stock and the ledger in Postgres.
    public static let postgres = Group(builtIn: "postgres")
    /// The stock counters in Redis.
    public static let stock = Group(builtIn: "stock")
    /// The jobs for the delivery service, in Redis.
    public static let delivery = Group(builtIn: "delivery")
    /// The groups that every log has.
    public static let builtIn: [Group] = [.postgres, .stock, .delivery]

    /// The name.
    public var description: String { name }

    /// By name.
    public static func < (left: Group, right: Group) -> Bool { left.name < right.name }
}

/// A group is its name, as text.
extension Group: Codable {
    /// Reads a name.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let name = try container.decode(String.self)
        guard let group = Group(name) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no name of a group")
        }
        self = group
    }

    /// Writes the name.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name)
    }
}
