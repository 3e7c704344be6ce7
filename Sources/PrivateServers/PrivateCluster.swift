import ThreadedIO

/// A Redis Cluster of our own: masters with a replica each, that share the slots evenly.
///
/// A master that doesn't answer for a second is failed, and its replica takes its place.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/>
package final class PrivateCluster: Sendable {
    package static let slots = 16384

    /// The masters that it began with, by their slots.
    package let masters: [PrivateRedis]
    /// Their replicas, in the same order; none where none were asked for.
    package let replicas: [PrivateRedis]
    /// All of them.
    package var nodes: [PrivateRedis] { masters + replicas }

    /// Where clients find it: by the masters that it began with.
    package var url: String {
        "redis+cluster://" + masters.map { "127.0.0.1:\($0.port ?? 0)" }.joined(separator: ",")
    }

    /// Starts a cluster and returns when all its nodes know it, and its replicas have what their masters have.
    ///
    /// - Parameters:
    ///   - directory: Where its files go.
    ///   - count: How many masters.
    ///   - hasReplicas: Whether each has a replica.
    ///   - options: Lines of the nodes' configuration files.
    /// - Returns: A cluster that takes writes.
    /// - Throws: ``ServerError``; `CancellationError`.
    package static func start(
        in directory: PrivateDirectory, masters count: Int = 3, hasReplicas: Bool = true, options: [String] = []
    ) async throws -> PrivateCluster {
        var nodes: [PrivateRedis] = []
        var buses: [Int] = []
        for index in 0..<(hasReplicas ? 2 * count : count) {
            buses.append(try freePort())
            let own = [
                "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000",
                "cluster-port \(buses[index])",
            ]
            nodes.append(
                try await .start(in: directory, name: "node-\(index)", options: own + options, tcp: true))
        }
        let cluster = PrivateCluster(masters: Array(nodes[..<count]), replicas: Array(nodes[count...]))
        try await cluster.join(buses)
        return cluster
    }

    private init(masters: [PrivateRedis], replicas: [PrivateRedis]) {
        (self.masters, self.replicas) = (masters, replicas)
    }

    private func join(_ buses: [Int]) async throws {
        for (index, node) in nodes.enumerated() {
            // Two nodes with one epoch would quarrel before they agree.
            try await node.ask("CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)")
            if index > 0 {
                try await node.ask("CLUSTER", "MEET", "127.0.0.1", "\(nodes[0].port ?? 0)", "\(buses[0])")
            }
        }
        for (index, master) in masters.enumerated() {
            let (first, end) = (index * Self.slots / masters.count, (index + 1) * Self.slots / masters.count)
            try await master.ask("CLUSTER", "ADDSLOTSRANGE", "\(first)", "\(end - 1)")
        }
        try await waiting("all nodes to know each other") {
            for node in nodes where try await node.ask("CLUSTER", "NODES").split(separator: "\n").count < nodes.count {
                return false
            }
            return true
        }
        for (master, replica) in zip(masters, replicas) {
            try await replica.ask("CLUSTER", "REPLICATE", try await master.ask("CLUSTER", "MYID"))
        }
        for (master, replica) in zip(masters, replicas) { try await replica.catchUp(with: master) }
        try await waiting("the cluster to be whole") {
            for node in nodes where try await !node.ask("CLUSTER", "INFO").contains("cluster_state:ok") { return false }
            return true
        }
    }

    /// The slot of a key.
    package func slot(of key: String) async throws -> Int {
        for node in nodes where node.isRunning {
            if let slot = Int(try await node.ask("CLUSTER", "KEYSLOT", key)) { return slot }
        }
        throw ServerError.refused(operation: "find a key's slot", reason: "no node runs")
    }

    /// Which node has a slot, as the first says that answers.
    ///
    /// - Throws: ``ServerError`` when none does, or nobody has it.
    package func owner(ofSlot slot: Int) async throws -> PrivateRedis {
        for node in nodes where node.isRunning {
            var known = ""
            // One that is paused says nothing.
            do { known = try await node.ask("CLUSTER", "NODES") } catch is ServerError { continue }
            for line in known.split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count > 8, words[2].contains("master"), !words[2].contains("fail") else { continue }
                let has = words[8...].contains { range in
                    let ends = range.split(separator: "-").compactMap { Int($0) }
                    return ends.count == 2 ? ends[0]...ends[1] ~= slot : ends == [slot]
                }
                let place = words[1].prefix { $0 != "@" && $0 != "," }
                if has, let node = nodes.first(where: { place == "127.0.0.1:\($0.port ?? 0)" }) { return node }
            }
        }
        throw ServerError.refused(operation: "find the owner of slot \(slot)", reason: "nobody has it")
    }

    /// Moves a slot to another master, key by key as `redis-cli --cluster reshard` does, while the cluster is used.
    ///
    /// - Parameters:
    ///   - slot: Which.
    ///   - target: To whom.
    ///   - between: Runs when the slot is on its way: after each key.
    /// - Throws: ``ServerError``, and what `between` throws.
    package func move(
        slot: Int, to target: PrivateRedis, between: () async throws -> Void = {}
    ) async throws {
        let source = try await owner(ofSlot: slot)
        guard source !== target, let port = target.port else { return }
        let (from, to) = (try await source.ask("CLUSTER", "MYID"), try await target.ask("CLUSTER", "MYID"))
        try await target.ask("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", from)
        try await source.ask("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", to)
        let deadline = Deadline.after(PrivateServer.startLimit)
        while try await source.ask("CLUSTER", "COUNTKEYSINSLOT", "\(slot)") != "0" {
            guard !deadline.hasPassed else {
                throw ServerError.refused(operation: "move slot \(slot)", reason: "not all keys in time")
            }
            let key = try await source.firstKey(inSlot: slot)
            guard let key else { continue }
            try await source.ask("MIGRATE", "127.0.0.1", "\(port)", key, "0", "5000")
            try await between()
        }
        for node in [target, source] { try await node.ask("CLUSTER", "SETSLOT", "\(slot)", "NODE", to) }
    }

    /// Ends all nodes at once.
    package func stop() async {
        for node in nodes {
            node.resume()
            await node.kill()
        }
    }

    private func waiting(_ what: String, until isSo: () async throws -> Bool) async throws {
        let deadline = Deadline.after(PrivateServer.startLimit)
        while try await !isSo() {
            guard !deadline.hasPassed else {
                throw ServerError.refused(operation: "wait for \(what)", reason: "not in time")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}

extension PrivateRedis {
    /// Any key of a slot; nil for none.
    fileprivate func firstKey(inSlot slot: Int) async throws -> String? {
        // The reply is a list, of which a script takes the first.
        let key = try await ask(
            "EVAL", "return redis.call('CLUSTER', 'GETKEYSINSLOT', ARGV[1], 1)[1] or ''", "0", "\(slot)")
        return key.isEmpty ? nil : key
    }
}
