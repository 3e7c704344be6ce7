import ArgumentParser
import Foundation

/// What every command that talks to the servers takes.
struct CommonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What the keys in Redis begin with.", valueName: "name"))
    var namespace: String?

    @Option(help: ArgumentHelp("The schema in Postgres.", valueName: "name"))
    var schema: String?

    @Option(
        help: ArgumentHelp("A configuration file in JSON (default: onewrite.json, if it is there).", valueName: "file"))
    var config: String?

    /// All settings, with what these options and `flags` say.
    func settings(_ flags: [String: String?] = [:]) async throws -> Settings {
        var given = flags.compactMapValues { $0 }
        given[Setting.namespace.key] = namespace
        given[Setting.schema.key] = schema
        return try await Settings(flags: given, file: config, environment: ProcessInfo.processInfo.environment)
    }
}
