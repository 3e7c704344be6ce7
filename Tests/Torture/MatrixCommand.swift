import ArgumentParser
import Harness

/// `torture matrix`.
struct MatrixCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "matrix",
        abstract: "Every fault point × kill, stop with takeover and resume, link dropped.",
        discussion: """
            In each run a log is at work, one process meets the fault, others take over, and a stopped one is woken when they \
            are done; then everything is drained and checked. A run in which the fault did not come, or in which a zombie was not \
            refused where it must be, tested nothing, and counts as wrong. Ends with 1 when anything was.

            Example:
              scripts/torture matrix --rounds 3 --seed 42
            """)

    @Option(help: ArgumentHelp("Runs of each cell.", valueName: "n"))
    var rounds = 3

    @Flag(help: "Each point with one action only, another one for another seed.")
    var subset = false

    @Option(help: ArgumentHelp("Only these points.", valueName: "point"))
    var only: [String] = []

    @Option(help: ArgumentHelp("Runs at the same time, each with servers of its own.", valueName: "n"))
    var lanes = 2

    @OptionGroup var options: TortureOptions

    func validate() throws {
        guard rounds > 0, (1...16).contains(lanes) else { throw ValidationError("--rounds from 1, --lanes 1 to 16") }
        for point in only where !FaultCell.all.contains(where: { $0.point == point }) {
            throw ValidationError("--only: there is no point \(point)")
        }
    }

    func run() async throws {
        let seed = options.seed ?? UInt64.random(in: 0..<1_000_000)
        say("seed \(seed)")
        let cells = (subset ? FaultCell.subset(seed) : FaultCell.all).filter {
            only.isEmpty || only.contains($0.point)
        }
        let matrix = FaultMatrix(executable: try options.executable(), seed: seed, say: say)
        let report = try await matrix.run(cells, rounds: rounds, lanes: lanes)
        report.table(of: cells).forEach(say)
        say(
            "seed \(seed) · \(report.runs.count) runs · \(report.refused) refused by token · \(report.violated) violated"
        )
        if report.violated > 0 { throw ExitCode(1) }
    }
}
