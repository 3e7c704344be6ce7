/// What a user may do in Redis: commands, keys and channels, and nothing else.
///
/// Scripts run with their caller's rights. So whoever runs one may name its keys (``scriptKeys``), and what the script does with
/// each is granted by key (``grants``): a selector each, which holds for a command by itself.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>
package struct RedisRights: Sendable, Equatable {
    /// Commands on keys.
    package struct Grant: Sendable, Hashable {
        package enum Access: String, Sendable {
            case read = "%R~"
            case all = "~"
        }

        package let access: Access
        package let keys: [String]
        /// As an access control list names them: `xgroup|create`, or a category, `@hash`.
        package let commands: [String]

        package init(_ access: Access, _ keys: [String], _ commands: String) {
            self.access = access
            self.keys = keys
            self.commands = commands.split(separator: " ").map(String.init)
        }

        /// As a selector.
        var text: String {
            let rules = keys.map { access.rawValue + $0 } + commands.map { $0.hasPrefix("-") ? $0 : "+\($0)" }
            return "(\(rules.joined(separator: " ")))"
        }
    }

    /// Commands that touch no key, by name.
    package private(set) var commands: [String]
    /// Keys that scripts and functions may be given.
    package private(set) var scriptKeys: [String]
    package private(set) var channels: [String]
    package private(set) var grants: [Grant]

    package init(
        commands: String = "", scriptKeys: [String] = [], channels: [String] = [], grants: [Grant] = []
    ) {
        self.commands = commands.split(separator: " ").map(String.init)
        self.scriptKeys = scriptKeys
        self.channels = channels
        self.grants = grants
    }

    /// Both together; each thing once.
    package static func + (left: RedisRights, right: RedisRights) -> RedisRights {
        func union<Element: Hashable>(_ some: [Element], _ more: [Element]) -> [Element] {
            var known: Set<Element> = []
            return (some + more).filter { known.insert($0).inserted }
        }
        var sum = left
        sum.commands = union(left.commands, right.commands)
        sum.scriptKeys = union(left.scriptKeys, right.scriptKeys)
        sum.channels = union(left.channels, right.channels)
        sum.grants = union(left.grants, right.grants)
        return sum
    }

    /// The rules of an access control list, behind name and passwords.
    package var rules: String {
        let words =
            ["resetkeys", "resetchannels", "-@all"] + scriptKeys.map { "~\($0)" } + channels.map { "&\($0)" }
            + commands.map { "+\($0)" } + grants.map(\.text)
        return words.joined(separator: " ")
    }
}
