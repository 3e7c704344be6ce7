import ArgumentParser

/// `onewrite version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "This program's version and commit, and the versions of the C libraries that it runs with.",
        discussion: """
            Example:
              onewrite version --json | jq -r .commit

            onewrite --version prints the same. It talks to no server.
            """)

    @Flag(help: "One JSON object (onewrite/version/v1).")
    var json = false

    func run() throws {
        let version = ProgramVersion()
        if json { try Console.printJSON(version) } else { Console.print(version.text) }
    }
}
