import ArgumentParser
import Dashboard
import Foundation
import Reports

/// What every command that talks to the servers takes.
struct CommonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What the keys in Redis begin with.", valueName: "name"))
    var namespace: String?

    @Option(help: ArgumentHelp("The schema in Postgres.", valueName: "name"))
    var schema: String?

    @Option(
        help: ArgumentHelp("A configuration file in JSON (default: onewrite.json, if it is there).", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var config: String?

    /// All settings, with what these options and `flags` say.
    ///
    /// - Throws: ``Failure`` for a name that no setting has, in the file or, but for a few letters, in the environment.
    func settings(_ flags: [String: String?] = [:]) throws -> Settings {
        let settings = read(flags)
        for problem in settings.problems where !problem.isRefused {
            Console.error("warning: \(sanitized(problem.message))")
        }
        let refused = settings.problems.filter(\.isRefused)
        guard refused.isEmpty else {
            throw Failure(.badConfiguration, refused.map { sanitized($0.message) }.joined(separator: "; "))
        }
        return settings
    }

    /// The same, whatever is wrong with them.
    func read(_ flags: [String: String?] = [:]) -> Settings {
        var given = flags.compactMapValues { $0 }
        given[Setting.namespace.key] = namespace
        given[Setting.schema.key] = schema
        return Settings(flags: given, file: config, environment: ProcessInfo.processInfo.environment)
    }
}
