public import ArgumentParser
public import OrderLog

extension Group: ExpressibleByArgument {
    /// Takes any group's name.
    public init?(argument: String) { self.init(argument) }

    /// The built-in ones, for help and completion.
    public static var allValueStrings: [String] { builtIn.map(\.name) }

    /// The built-in ones.
    public static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}

extension GroupDefinition.Start: ExpressibleByArgument {}
