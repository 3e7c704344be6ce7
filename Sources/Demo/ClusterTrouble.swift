import Harness
import OrderLog
import PrivateServers

/// What happens to a cluster while orders flow: partitions move to another master, and a master dies.
struct ClusterTrouble: Sendable {
    let cluster: PrivateCluster
    let namespace: String
    let narration: Narration

    /// What was moved stays until its new master's replica has it: a failover before that would lose it.
    func run(partitions: Int) async throws {
        try await move(partitions)
        try await cluster.settle()
        try await kill(partitions)
    }

    /// Moves all partitions of the first one's master to the next.
    private func move(_ partitions: Int) async throws {
        let slots = try await slots(partitions)
        let source = try await cluster.owner(ofSlot: slots[0])
        guard let target = cluster.masters.first(where: { $0 !== source }) else { return }
        var moved: [Int] = []
        let start = ContinuousClock.now
        for (partition, slot) in slots.enumerated() where try await cluster.owner(ofSlot: slot) === source {
            try await cluster.move(slot: slot, to: target)
            moved.append(partition)
        }
        narration.say(
            "\(name(of: source)) gave \(Narration.count(moved.count, "partition", "partitions")) to \(name(of: target)), "
                + "key by key, in \(milliseconds(since: start)) ms: \(moved.map(String.init).joined(separator: " "))")
    }

    /// Kills the master that has most partitions, and starts it again when its replica has its place.
    private func kill(_ partitions: Int) async throws {
        let slots = try await slots(partitions)
        var owned: [(master: PrivateRedis, slots: [Int])] = []
        for slot in slots {
            let owner = try await cluster.owner(ofSlot: slot)
            if let index = owned.firstIndex(where: { $0.master === owner }) {
                owned[index].slots.append(slot)
            } else {
                owned.append((owner, [slot]))
            }
        }
        guard let (master, lost) = owned.max(by: { $0.slots.count < $1.slots.count }) else { return }
        narration.say(
            "kill -9 \(name(of: master)), a master with \(Narration.count(lost.count, "partition", "partitions"))")
        let start = ContinuousClock.now
        await master.kill()
        var successor = master
        try await waiting(upTo: .seconds(30), "nobody took the place of \(name(of: master))") {
            // While the slots have no owner whom anybody sees, that is an error of the asker's.
            do { successor = try await cluster.owner(ofSlot: lost[0]) } catch is ServerError { return false }
            return successor !== master
        }
        narration.say("its replica \(name(of: successor)) has its place after \(milliseconds(since: start)) ms")
        try await master.restart()
        try await cluster.settle()
        narration.say("\(name(of: master)) is back, as a replica")
    }

    private func slots(_ partitions: Int) async throws -> [Int] {
        var slots: [Int] = []
        for partition in 0..<partitions { slots.append(try await cluster.slot(of: "{\(namespace):\(partition)}")) }
        return slots
    }

    private func name(of node: PrivateRedis) -> String {
        "node-\(cluster.nodes.firstIndex { $0 === node } ?? -1)"
    }

    private func milliseconds(since start: ContinuousClock.Instant) -> Int {
        Int(start.duration(to: .now) / .milliseconds(1))
    }
}
