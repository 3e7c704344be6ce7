import ArgumentParser
import Foundation
import Harness

/// `torture power-cuts`.
struct PowerCutsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "power-cuts",
        abstract: "Cuts Redis's append-only file at any byte, restarts three times, and compares all stores.",
        discussion: """
            Orders flow, redis-server is killed, and its newest file is cut at a random byte, through the middle of a \
            transaction mostly. It is started, and later twice more, with and without new orders in between. Ends with 0 when \
            all stores were equal each time, and with 1 otherwise.

            Example: scripts/torture power-cuts --count 1000 --seed 42

            Example: scripts/torture power-cuts --count 300 --bug oldFileKept
            """)

    @Option(help: ArgumentHelp("How many cuts.", valueName: "n"))
    var count = 100

    @Option(help: ArgumentHelp("Systems at the same time, each with servers of its own.", valueName: "n"))
    var lanes = 3

    @Option(help: ArgumentHelp("Make this mistake (Tests/Mutants), to see it found.", valueName: "name"))
    var bug: String?

    @Flag(help: "Print every cut.")
    var verbose = false

    @OptionGroup var options: TortureOptions

    func validate() throws {
        guard count > 0 else { throw ValidationError("--count: expected 1 or more, got \(count)") }
        guard (1...16).contains(lanes) else { throw ValidationError("--lanes: expected 1 to 16, got \(lanes)") }
    }

    func run() async throws {
        let cuts = PowerCuts(
            seed: options.seed ?? UInt64.random(in: 0..<1_000_000), count: count, lanes: lanes,
            executable: try options.executable(with: bug), bug: bug, evidence: options.evidence, isVerbose: verbose)
        let report = try await cuts.run()
        report.lines.forEach(say)
        if !report.isClean { throw ExitCode(1) }
    }
}
