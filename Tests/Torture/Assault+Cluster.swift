import Harness
import PrivateServers
import RedisClient
import ThreadedIO

/// What is done to a cluster, one thing after another, each from a whole cluster to a whole cluster.
extension Assault {
    /// - Returns: What was done, for the log; nil when there was nothing to do it to.
    func attack(
        _ cluster: PrivateCluster, _ fault: Fault, _ generator: inout SeededGenerator
    ) async throws -> String? {
        let partition = Int.random(in: 0..<Arena.partitions, using: &generator)
        let slot = try await cluster.slot(of: "{\(arena.shop.namespace):\(partition)}")
        let master = try await cluster.owner(ofSlot: slot)
        switch fault {
        case .redisKill:
            return try await losing(master, cluster) {
                await master.kill()
                let length = try await pause(0...600, &generator)
                _ = try await LostTail.restart(master)
                return "away for \(length) ms"
            }
        case .tailLost:
            return try await losing(master, cluster) {
                try await loseTail(of: master, &generator).map { "\($0) entries" }
            }
        case .shardFailed:
            return try await losing(master, cluster) {
                await master.kill()
                try await replacement(of: master, forSlot: slot, cluster)
                let length = try await pause(0...1500, &generator)
                _ = try await LostTail.restart(master)
                return "of partition \(partition), back \(length) ms after it was replaced"
            }
        case .shardIsolated:
            return try await losing(master, cluster) {
                cluster.isolate(master)
                defer { cluster.reunite() }
                try await replacement(of: master, forSlot: slot, cluster)
                return "of partition \(partition), \(try await pause(0...3000, &generator)) ms after it was replaced"
            }
        case .shardStopped:
            return try await losing(master, cluster) {
                master.pause()
                defer { master.resume() }
                try await replacement(of: master, forSlot: slot, cluster)
                return "of partition \(partition), \(try await pause(0...1500, &generator)) ms after it was replaced"
            }
        case .shardHandedOver:
            // Nothing may be lost.
            guard let replica = try await cluster.replica(of: master) else { return nil }
            try await replica.ask("CLUSTER", "FAILOVER")
            // It gives up where the replica can't catch up, for the sake of a link.
            let isDone = try await holds(within: .seconds(8)) {
                try await cluster.owner(ofSlot: slot, as: replica) === replica
            }
            try await cluster.settle()
            return isDone ? "of partition \(partition)" : nil
        case .slotMoved, .slotHeld:
            var others: [PrivateRedis] = []
            for node in cluster.nodes where node !== master {
                if try await node.replication("role") == "master" { others.append(node) }
            }
            guard let target = others.randomElement(using: &generator) else { return nil }
            var holdsAt = fault == .slotHeld ? Int.random(in: 1...6, using: &generator) : 0
            try await cluster.move(slot: slot, to: target) {
                holdsAt -= 1
                if holdsAt == 0 { _ = try await pause(300...2000, &generator) }
            }
            // A failover of its new master before its replica has the slot's keys would lose them all; and so would a cut
            // through the file that they were just written to.
            try await cluster.settle()
            try await target.ask("BGREWRITEAOF")
            let isWritten = try await holds(within: .seconds(10)) {
                let state = try await target.ask("INFO", "persistence")
                return state.contains("aof_rewrite_in_progress:0") && state.contains("aof_rewrite_scheduled:0")
            }
            if !isWritten { log.add("the file behind a move was not written anew within 10 s") }
            return "partition \(partition)"
        case .redisStop, .clientPause, .clientKill, .scriptFlush, .groupDestroy:
            let done = try await disturb(master, fault, &generator)
            try await cluster.settle()
            return done
        default: return nil
        }
    }

    /// Returns when another node has a master's slot.
    private func replacement(of master: PrivateRedis, forSlot slot: Int, _ cluster: PrivateCluster) async throws {
        let witnesses = cluster.nodes.filter { $0 !== master }
        try await waiting(upTo: .seconds(30), "nobody took the place of a master") {
            for node in witnesses where node.isRunning {
                do { return try await cluster.owner(ofSlot: slot, as: node) !== master } catch is ServerError {
                    continue
                }
            }
            return false
        }
    }

    // MARK: - What is lost

    /// An entry of the log, where it stands.
    private struct Entry: Hashable, Sendable {
        let partition: Int
        let seq: String
        let shop: String
        let id: String
    }

    /// Does something that may have another take a master's place, and notes exactly what was lost by that: what the
    /// master's files hold, to the last write that it took, and the log doesn't when the cluster is whole again.
    ///
    /// - Returns: What the body says, and how much was lost; nil when it says nothing.
    private func losing(
        _ master: PrivateRedis, _ cluster: PrivateCluster, _ body: () async throws -> String?
    ) async throws -> String? {
        let kept = "\(arena.directory.path)/kept-\(master.pid)"
        // Links, so that what is written until it follows another is here too, while the names are taken for new files.
        try await run("rm", "-rf", kept)
        try await run("cp", "-rl", "\(master.directory)/appendonlydir", kept)
        await watch.tailIsBeingLost(true)
        guard let done = try await body() else {
            await watch.tailIsBeingLost(false)
            return nil
        }
        try await cluster.settle()
        await watch.tailIsBeingLost(false)
        let before = try await entries(inFiles: kept)
        let after = try await entries(of: arena.shop)
        let lost = before.subtracting(after)
        book.cut(lost.map { ($0.shop, $0.id) }, withReplicas: false)
        return "\(done), \(lost.count) entries lost"
    }

    private func run(_ words: String...) async throws {
        let done = try await ChildProcess.run(words)
        guard done.status == .exited(0) else {
            throw HarnessError.ended(words[0], with: done.status, saying: done.errors)
        }
    }

    /// The log's entries in the files of a node, read by a server of their own.
    private func entries(inFiles kept: String) async throws -> Set<Entry> {
        let directory = try await PrivateDirectory()
        let server = try await PrivateRedis.start(in: directory)
        await server.kill()
        try await run("rm", "-rf", "\(server.directory)/appendonlydir")
        try await run("cp", "-r", kept, "\(server.directory)/appendonlydir")
        _ = try await LostTail.restart(server)
        let found = try await entries(of: Shop(redisURL: server.url, postgresURL: "", namespace: arena.shop.namespace))
        await server.kill()
        await directory.remove()
        return found
    }

    private func entries(of shop: Shop) async throws -> Set<Entry> {
        // A link may break at any time.
        for _ in 0..<20 {
            do {
                return try await BlockingLane(name: "read").run { try Self.entries(at: shop.redis(), shop.namespace) }
            } catch is RedisError {
                try await Task.sleep(for: .milliseconds(300))
            }
        }
        return try await BlockingLane(name: "read").run { try Self.entries(at: shop.redis(), shop.namespace) }
    }

    private static func entries(at redis: RedisConnection, _ namespace: String) throws -> Set<Entry> {
        var found: Set<Entry> = []
        for partition in 0..<Arena.partitions {
            let command = RedisCommand("XRANGE", "{\(namespace):\(partition)}:log", "-", "+")
            for entry in try redis.call(command, until: .after(.seconds(20))).requireArray() {
                var fields: [String: String] = [:]
                for index in stride(from: 0, to: entry[1].count, by: 2) {
                    fields[try entry[1][index].requireString()] = try entry[1][index + 1].requireString()
                }
                found.insert(
                    Entry(
                        partition: partition, seq: fields["seq"] ?? "", shop: fields["shop"] ?? "",
                        id: fields["id"] ?? ""))
            }
        }
        return found
    }
}
