import ArgumentParser

/// A command that there is none of: says which one was probably meant.
enum UnknownCommand {
    /// How many letters may be wrong in a suggestion.
    private static let distanceMax = 3

    /// Looks at the first argument.
    ///
    /// - Parameters:
    ///   - arguments: The command line without the program's name.
    ///   - commands: Those that there are.
    /// - Throws: ``Failure`` with ``ExitStatus/usage``.
    static func check(_ arguments: [String], against commands: [any ParsableCommand.Type]) throws {
        guard let word = arguments.first, !word.hasPrefix("-"), word != "help" else { return }
        let names = commands.compactMap { $0.configuration.commandName }
        guard !names.contains(word) else { return }
        let nearest = names.map { (name: $0, distance: distance(word, $0)) }.min { $0.distance < $1.distance }
        var advice = "Run onewrite --help to see all."
        if let nearest, nearest.distance <= distanceMax { advice = "Did you mean \(nearest.name)?" }
        throw Failure(.usage, "there is no command \(word.debugDescription). \(advice)")
    }

    /// How many letters have to be added, taken away or changed (Levenshtein).
    private static func distance(_ left: String, _ right: String) -> Int {
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let cost = min(diagonal + (a == b ? 0 : 1), row[j] + 1, row[j + 1] + 1)
                diagonal = row[j + 1]
                row[j + 1] = cost
            }
        }
        return row[right.count]
    }
}
