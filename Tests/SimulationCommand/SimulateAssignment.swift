import ArgumentParser
import OrderLog
import Simulation

/// Says what workers that come and go do to many partitions.
struct SimulateAssignment: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "assignment",
        abstract: "How workers that come and go share the partitions: how soon, and how many change hands.")

    @Option(help: "Partitions of the log.")
    var partitions = 1024

    @Option(help: "Workers of the group.")
    var workers = 200

    @Option(help: "The longest that a batch in hand takes, in milliseconds.")
    var batch = 20

    @Option(help: "What is drawn: moments, and who is killed.")
    var seed: UInt64 = 1

    func run() throws {
        guard let partitioning = Partitioning(count: partitions), workers > 0, batch > 0 else {
            throw ValidationError("expected 1 to 1024 partitions, a worker and a millisecond at least")
        }
        print("partitions \(partitions), workers \(workers), batches up to \(batch) ms, seed \(seed)")
        print("                                      settled    moved  needed   pause p50     p99     max")
        var world = AssignmentSimulation(seed: seed, partitioning, batchMax: .milliseconds(batch))
        let tenth = max(1, workers / 10)
        row("\(workers) start within a second", world.start(workers))
        row("1 is killed", world.kill(1))
        row("1 is added", world.start(1))
        row("\(tenth) are killed at once", world.kill(tenth))
        row("\(tenth) are added within a second", world.start(tenth))
        row("all replaced in turn, same names", world.replaceAll(keepsNames: true))
        row("all replaced in turn, new names", world.replaceAll(keepsNames: false))
    }

    private func row(_ event: String, _ outcome: AssignmentSimulation.Outcome) {
        func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        func milliseconds(_ duration: Duration) -> String { "\(Int(duration / .milliseconds(1))) ms" }
        print(
            event
                + right(
                    outcome.settled.map { "\(Double(Int($0 / .milliseconds(10))) / 100) s" } ?? "never",
                    45 - event.count)
                + right("\(outcome.moved)", 9) + right("\(outcome.needed)", 8)
                + right(milliseconds(outcome.pause(percentile: 50)), 12)
                + right(milliseconds(outcome.pause(percentile: 99)), 8)
                + right(milliseconds(outcome.pauses.last ?? .zero), 8))
    }
}
