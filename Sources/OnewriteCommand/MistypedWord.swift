import ArgumentParser

/// A command or an option that there is none of: says which one was probably meant.
///
/// The argument parser takes some of them for a file's name, or complains about something else first.
enum MistypedWord {
    /// Finds the command that is named.
    ///
    /// - Parameters:
    ///   - arguments: The command line without the program's name.
    ///   - root: The program.
    /// - Returns: The innermost command that the first words name.
    /// - Throws: ``Failure`` with ``ExitStatus/usage`` for a word that names none.
    static func command(
        in arguments: [String], of root: any ParsableCommand.Type
    ) throws -> any ParsableCommand.Type {
        var command = root
        var path = [root._commandName]
        for word in arguments {
            let subcommands = command.configuration.subcommands
            guard !subcommands.isEmpty, !word.hasPrefix("-"), word != "help" else { break }
            guard let named = subcommands.first(where: { $0._commandName == word }) else {
                let shown = subcommands.filter { $0.configuration.shouldDisplay }.map { $0._commandName }
                let above = path.dropFirst().map { $0 + " " }.joined()
                let advice =
                    Spelling.meant(by: word, among: shown).map { "Did you mean \(above)\($0)?" }
                    ?? "Run \(path.joined(separator: " ")) --help to see all."
                throw Failure(.usage, "there is no command \((above + word).debugDescription). \(advice)")
            }
            command = named
            path.append(word)
        }
        return command
    }

    /// Looks for an option that the command doesn't have, up to a `--`.
    ///
    /// - Parameters:
    ///   - arguments: The command line.
    ///   - command: The one that it names.
    ///   - isRefused: Whether the argument parser refused it. Otherwise only words count that it would have
    ///     misunderstood: with one hyphen, or with a dash of the kind that text programs make of two.
    /// - Throws: ``Failure`` with ``ExitStatus/usage``.
    static func checkOptions(
        _ arguments: [String], of command: any ParsableCommand.Type, isRefused: Bool
    ) throws {
        for word in arguments.prefix(while: { $0 != "--" }) {
            let name = String(word.drop(while: isDash).prefix { $0 != "=" })
            guard let first = word.first, isDash(first), !name.isEmpty else { continue }
            if first == "-" {
                // A number is a value; -shop would be taken for several flags of one letter, help among them.
                guard Double(word) == nil, isRefused || !word.hasPrefix("--") else { continue }
                if word == "-h" || word.hasPrefix("--") && (names(of: command) + hidden).contains(name) { continue }
            }
            // A value may begin with a dash of text programs: only what is nearly an option is taken for one.
            let meant =
                first == "-"
                ? Spelling.meant(by: name, among: names(of: command))
                : Spelling.nearest(name, among: names(of: command), within: 1)
            guard isRefused || first == "-" || meant != nil else { continue }
            let advice = meant.map { "Did you mean --\($0)?" } ?? "Run the command with --help to see all."
            throw Failure(.usage, "there is no option \(word.debugDescription). \(advice)")
        }
    }

    /// The long names of a command's options, without dashes, as its help has them.
    static func names(of command: any ParsableCommand.Type) -> [String] {
        RootCommand.helpMessage(for: command, columns: 200).split(separator: "\n").compactMap { line in
            guard let label = line.firstMatch(of: /^  (?:-\w, )?--([a-z][a-z-]*)/) else { return nil }
            return String(label.1)
        }
    }

    private static let hidden = [
        "generate-completion-script", "experimental-dump-help", "help-hidden", "version", "help",
    ]

    /// A hyphen, an en dash, an em dash, a minus sign.
    private static func isDash(_ character: Character) -> Bool {
        character == "−" || character.unicodeScalars.first?.properties.generalCategory == .dashPunctuation
    }
}
