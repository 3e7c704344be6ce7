import ArgumentParser
import Foundation
import Harness

/// `torture soak`.
struct SoakCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Orders flow while everything fails; checked all the time, and in full about once a minute.",
        discussion: """
            Runs rounds on private servers until the time is over. The seed gives the same orders and the same faults at the same \
            times again; what they meet is up to the machine. Ends with 0 when nothing was found, and with 1 and the evidence \
            otherwise.

            Example:
              scripts/torture soak --for 1h --seed 42
            """)

    @Option(name: .customLong("for"), help: ArgumentHelp("How long, such as 90s, 20m or 1h.", valueName: "duration"))
    var length = "5m"

    @Option(help: ArgumentHelp("How long faults come between two full checks.", valueName: "duration"))
    var segment = "40s"

    @Option(help: ArgumentHelp("Full checks a round; each round has new servers.", valueName: "n"))
    var segments = 4

    @Option(help: ArgumentHelp("Workers of each group.", valueName: "n"))
    var workers = 3

    @Option(help: ArgumentHelp("Submitters at the same time.", valueName: "n"))
    var submitters = 4

    @Option(help: ArgumentHelp("Begin with this round of the seed.", valueName: "n"))
    var round = 1

    @Flag(
        help:
            "Redis is a cluster of three masters and three replicas, which are failed over, cut off and resharded too.")
    var cluster = false

    @Flag(help: "Every shop takes orders only as far as its stock covers them.")
    var admission = false

    @Option(help: ArgumentHelp("Make this mistake (Tests/Mutants), to see it found.", valueName: "name"))
    var bug: String?

    @Flag(help: "Print every fault.")
    var verbose = false

    @OptionGroup var options: TortureOptions

    func run() async throws {
        guard let length = Self.duration(length) else { throw ValidationError("--for: expected 90s, 20m or 1h") }
        guard let segment = Self.duration(segment) else { throw ValidationError("--segment: expected 40s or 1m") }
        let soak = Soak(
            seed: options.seed ?? UInt64.random(in: 0..<1_000_000), length: length, segment: segment,
            segments: segments, workers: workers, submitters: submitters, firstRound: round,
            executable: try options.executable(with: bug), bug: bug, evidence: options.evidence, isVerbose: verbose,
            isCluster: cluster, hasAdmission: admission)
        let report = try await soak.run()
        report.lines.forEach(say)
        if !report.isClean { throw ExitCode(1) }
    }

    private static func duration(_ text: String) -> Duration? {
        guard let number = Double(text.dropLast()), number > 0 else { return nil }
        switch text.last {
        case "s": return .seconds(number)
        case "m": return .seconds(number * 60)
        case "h": return .seconds(number * 3600)
        default: return nil
        }
    }
}
