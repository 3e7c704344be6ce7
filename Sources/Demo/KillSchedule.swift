import Harness
import PrivateServers
import ThreadedIO

/// Kills workers while orders flow: first between apply and acknowledge, then at random moments.
struct KillSchedule: Sendable {
    let fleet: WorkerFleet
    let probe: StoreProbe
    let narration: Narration

    static let randomKills = 6

    /// How often a worker was killed.
    struct Tally: Sendable {
        var kills = 0
        /// Kills that hit between apply and acknowledge, as seen from outside.
        var between = 0
    }

    func run(using generator: inout SeededGenerator) async throws -> Tally {
        var tally = Tally()
        for letter in ["a", "b"] { try await killBetween(.init(group: "postgres", letter: letter), &tally) }
        for name in WorkerFleet.names.shuffled(using: &generator).prefix(Self.randomKills) {
            try await Task.sleep(for: .milliseconds(Int.random(in: 30...250, using: &generator)))
            try await kill(name, &tally)
        }
        return tally
    }

    private func killBetween(_ name: WorkerFleet.Name, _ tally: inout Tally) async throws {
        guard let process = fleet.process(name) else { return }
        let hit = try await probe.killBetweenApplyAndAcknowledge(
            process, named: "\(name)", until: .after(.seconds(3)))
        try Task.checkCancellation()
        guard let hit else {
            narration.say("\(name) was never met between apply and acknowledge within 3 s")
            return try await kill(name, &tally)
        }
        tally.kills += 1
        tally.between += 1
        let entries = Narration.count(hit.entries, "entry", "entries")
        narration.say(
            "kill -9 \(name) between apply and acknowledge: \(entries) in Postgres, still pending in Redis "
                + "(seen at look \(hit.looks))")
        let takeover = try await fleet.takeover(from: name)
        takeover.lines.forEach(narration.add)
        tell(takeover, by: name.sibling)
        try await fleet.start(name)
    }

    private func kill(_ name: WorkerFleet.Name, _ tally: inout Tally) async throws {
        guard let process = fleet.process(name) else { return }
        let inHand = try await probe.killInTheMiddle(
            process, group: name.group, named: "\(name)", until: .after(.milliseconds(400)))
        try Task.checkCancellation()
        tally.kills += 1
        narration.say("kill -9 \(name), \(Narration.count(inHand, "entry", "entries")) in hand")
        tell(try await fleet.takeover(from: name), by: name.sibling)
        try await fleet.start(name)
    }

    private func tell(_ takeover: WorkerFleet.Takeover, by name: WorkerFleet.Name) {
        let milliseconds = Int(takeover.duration / .milliseconds(1))
        let partitions = Narration.count(takeover.lines.count, "partition", "partitions")
        narration.say(
            "\(name) took over \(partitions) in \(milliseconds) ms: reclaimed \(takeover.sum("pending")) pending, "
                + "\(takeover.sum("applied")) applied now, \(takeover.sum("duplicates")) had been applied")
    }
}
