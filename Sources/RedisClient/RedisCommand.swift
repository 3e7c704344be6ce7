/// One command and its arguments, ready to be sent.
///
/// ```swift
/// var command = RedisCommand("XADD", "{onewrite:3}:log", "*", "seq", 42)
/// command.append("lines")
/// command.append(lines)
/// ```
package struct RedisCommand: Sendable {
    /// The first word: it appears in messages, the arguments never do.
    package let name: String
    private(set) var words: RedisArguments
    /// For a command without a key: what it is asked about.
    private(set) var neighbour: String?

    /// Makes a command from its words; each argument is sent as it is, whatever bytes it holds.
    package init(_ name: String, _ arguments: any RedisArgument...) {
        self.init(name)
        for argument in arguments { append(argument) }
    }

    /// Makes a command from a list of arguments.
    package init(_ name: String, arguments: RedisArguments) {
        self.init(name)
        append(contentsOf: arguments)
    }

    private init(_ name: String) {
        self.name = name
        words = RedisArguments()
        words.append(name)
    }

    /// The same for the server that has a key, where there are several: `INFO` has no key of its own.
    package func beside(_ key: String) -> RedisCommand {
        var command = self
        command.neighbour = key
        return command
    }

    /// Appends one argument.
    package mutating func append(_ argument: some RedisArgument) {
        words.append(argument)
    }

    /// Appends each value as an argument of its own.
    package mutating func append(contentsOf values: some Sequence<some RedisArgument>) {
        words.append(contentsOf: values)
    }

    /// Appends the arguments of a list.
    package mutating func append(contentsOf arguments: RedisArguments) {
        words.append(contentsOf: arguments)
    }
}
