import ArgumentParser
import Simulation

/// Simulations: of the protocol, and of how partitions are shared out.
@main
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Simulate the protocol under faults, or how workers share the partitions.",
        subcommands: [SimulateProtocol.self, SimulateAssignment.self], defaultSubcommand: SimulateProtocol.self)
}

/// Runs simulations of the protocol, or replays one.
struct SimulateProtocol: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "protocol",
        abstract: "Simulate the protocol under faults, or replay one simulation.",
        discussion: """
            Each seed is one run: workers, submitters, a Redis that loses its tail and a Postgres that leaves commits in doubt, \
            first with faults, then without. What must never happen is looked for at every step.
            """)

    @Option(help: "How many seeds to run.")
    var seeds: UInt64 = 1000

    @Option(help: "The first seed.")
    var from: UInt64 = 1

    @Option(help: "Replay one seed, and print what happens.")
    var seed: UInt64?

    @Flag(help: "Stop at the first violation.")
    var untilViolated = false

    func run() throws {
        if let seed {
            let outcome = Simulation.run(seed: seed, isRecorded: true)
            print(outcome.trace.joined(separator: "\n"))
            print("seed \(seed): \(outcome.steps) steps, \(outcome.faults) faults, \(outcome.applied) entries")
            if !outcome.violations.isEmpty { throw ExitCode(1) }
            return
        }
        let begin = ContinuousClock.now
        var (ran, steps) = (0, 0)
        var violated: [Simulation.Outcome] = []
        for seed in from..<from + seeds {
            let outcome = Simulation.run(seed: seed)
            ran += 1
            steps += outcome.steps
            guard let violation = outcome.violations.first else { continue }
            if violated.count < 10 { print("seed \(seed): \(violation)") }
            violated.append(outcome)
            if untilViolated { break }
        }
        print("\(ran) seeds, \(steps) steps, \(violated.count) with violations, \(ContinuousClock.now - begin)")
        if !violated.isEmpty { throw ExitCode(1) }
    }
}
