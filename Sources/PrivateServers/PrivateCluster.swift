import ThreadedIO

/// A Redis Cluster of our own: masters with a replica each, that share the slots evenly.
///
/// A master that doesn't answer for a second is failed, and its replica takes its place.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/>
package final class PrivateCluster: Sendable {
    package static let slots = 16384

    /// What stands in front of a node, where others find it.
    package struct Links: Sendable {
        /// Where clients and replicas connect.
        package let clients: FaultProxy
        /// Where other nodes do.
        package let bus: FaultProxy
        /// Where the node's own connections come from.
        let source: String
    }

    /// The masters that it began with, by their slots.
    package let masters: [PrivateRedis]
    /// Their replicas, in the same order; none where none were asked for.
    package let replicas: [PrivateRedis]
    /// All of them.
    package var nodes: [PrivateRedis] { masters + replicas }
    /// What is in front of each node, in the order of ``nodes``; empty where nothing is.
    package let links: [Links]
    private let buses: [Int]
    /// The nodes' names in the cluster.
    private let names: [String]

    /// Where clients find it: by the masters that it began with.
    package var url: String {
        let ports = links.isEmpty ? masters.map { $0.port ?? 0 } : links.prefix(masters.count).map(\.clients.port)
        let places = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
        guard let tls = masters[0].tls else { return "redis+cluster://\(places)" }
        return "rediss+cluster://\(places)?tls_ca=\(percentEncoded(tls.authority.file))"
    }

    /// Starts a cluster and returns when all its nodes know it, and its replicas have what their masters have.
    ///
    /// - Parameters:
    ///   - directory: Where its files go.
    ///   - count: How many masters.
    ///   - hasReplicas: Whether each has a replica.
    ///   - hasLinks: Whether a proxy stands in front of each node, for clients and for other nodes, so that it can be
    ///     cut off from either. They make themselves known by the proxies' ports.
    ///   - options: Lines of the nodes' configuration files.
    ///   - tls: What nodes speak, to clients and to each other; nil for no TLS.
    /// - Returns: A cluster that takes writes.
    /// - Throws: ``ServerError``; `CancellationError`.
    package static func start(
        in directory: PrivateDirectory, masters count: Int = 3, hasReplicas: Bool = true, hasLinks: Bool = false,
        options: [String] = [], tls: PrivateTLS? = nil
    ) async throws -> PrivateCluster {
        var nodes: [PrivateRedis] = []
        var buses: [Int] = []
        var links: [Links] = []
        var names: [String] = []
        for index in 0..<(hasReplicas ? 2 * count : count) {
            buses.append(try freePort())
            let source = "127.0.0.\(index + 2)"
            let own =
                [
                    "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000",
                    "cluster-port \(buses[index])",
                ] + (tls == nil ? [] : ["tls-cluster yes"])
            let node = try await PrivateRedis.start(
                in: directory, name: "node-\(index)",
                options: own + (hasLinks ? ["bind-source-addr \(source)"] : []) + options, tcp: true, tls: tls)
            nodes.append(node)
            names.append(try await node.ask("CLUSTER", "MYID"))
            guard hasLinks else { continue }
            let link = Links(
                clients: try .start(to: .loopback(port: node.port ?? 0)),
                bus: try .start(to: .loopback(port: buses[index])),
                source: source)
            links.append(link)
            try await node.ask("CONFIG", "SET", "cluster-announce-ip", "127.0.0.1")
            try await node.ask("CONFIG", "SET", "cluster-announce-port", "\(link.clients.port)")
            try await node.ask("CONFIG", "SET", "cluster-announce-bus-port", "\(link.bus.port)")
            // For its later starts.
            try await node.ask("CONFIG", "REWRITE")
        }
        let cluster = PrivateCluster(
            masters: Array(nodes[..<count]), replicas: Array(nodes[count...]), links: links, buses: buses, names: names)
        try await cluster.join()
        return cluster
    }

    private init(
        masters: [PrivateRedis], replicas: [PrivateRedis], links: [Links], buses: [Int], names: [String]
    ) {
        (self.masters, self.replicas) = (masters, replicas)
        (self.links, self.buses, self.names) = (links, buses, names)
    }

    private func join() async throws {
        let port = links.first?.clients.port ?? nodes[0].port ?? 0
        for (index, node) in nodes.enumerated() {
            // Two nodes with one epoch would quarrel before they agree.
            try await node.ask("CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)")
            if index > 0 {
                try await node.ask(
                    "CLUSTER", "MEET", "127.0.0.1", "\(port)", "\(links.first?.bus.port ?? buses[0])")
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
            try await replica.ask("CLUSTER", "REPLICATE", name(of: master))
        }
        for (master, replica) in zip(masters, replicas) { try await replica.catchUp(with: master) }
        try await settle()
    }

    private func name(of node: PrivateRedis) -> String {
        zip(nodes, names).first { $0.0 === node }?.1 ?? "?"
    }

    /// The slot of a key.
    package func slot(of key: String) async throws -> Int {
        for node in nodes where node.isRunning {
            // One that is paused says nothing.
            do {
                if let slot = Int(try await node.askLoaded("CLUSTER", "KEYSLOT", key)) { return slot }
            } catch is ServerError { continue }
        }
        throw ServerError.refused(operation: "find a key's slot", reason: "no node runs")
    }

    /// Which node has a slot, as the first says that answers.
    ///
    /// - Throws: ``ServerError`` when none does, or nobody has it.
    package func owner(ofSlot slot: Int) async throws -> PrivateRedis {
        for node in nodes where node.isRunning {
            // One that is paused says nothing.
            do { return try await owner(ofSlot: slot, as: node) } catch is ServerError { continue }
        }
        throw ServerError.refused(operation: "find the owner of slot \(slot)", reason: "nobody has it")
    }

    /// Which node has a slot, as a node says.
    ///
    /// - Throws: ``ServerError`` when it doesn't answer, or knows nobody who has it.
    package func owner(ofSlot slot: Int, as node: PrivateRedis) async throws -> PrivateRedis {
        for line in try await node.askLoaded("CLUSTER", "NODES").split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count > 8, words[2].contains("master"), !words[2].contains("fail") else { continue }
            let has = words[8...].contains { range in
                let ends = range.split(separator: "-").compactMap { Int($0) }
                return ends.count == 2 ? ends[0]...ends[1] ~= slot : ends == [slot]
            }
            if has, let index = names.firstIndex(of: String(words[0])) { return nodes[index] }
        }
        throw ServerError.refused(operation: "find the owner of slot \(slot)", reason: "nobody has it")
    }

    /// Which node has a key, as the first says that answers.
    ///
    /// - Throws: As ``owner(ofSlot:)``.
    package func owner(ofKey key: String) async throws -> PrivateRedis {
        try await owner(ofSlot: try await slot(of: key))
    }

    /// The replica of a master; nil where none says that it is one.
    package func replica(of master: PrivateRedis) async throws -> PrivateRedis? {
        for node in nodes where node !== master && node.isRunning {
            let nodes: String
            do { nodes = try await node.askLoaded("CLUSTER", "NODES") } catch is ServerError { continue }
            if nodes.split(separator: "\n").contains(where: {
                let words = $0.split(separator: " ")
                return words.count > 3 && words[2].contains("myself") && words[3] == name(of: master)
            }) {
                return node
            }
        }
        return nil
    }

    /// Moves a slot to another master, key by key as `redis-cli --cluster reshard` does, while the cluster is used.
    ///
    /// - Parameters:
    ///   - slot: Which.
    ///   - target: To whom.
    ///   - prefix: What the keys begin with that go first.
    ///   - between: Runs when the slot is on its way: after each key.
    /// - Throws: ``ServerError``, and what `between` throws.
    package func move(
        slot: Int, to target: PrivateRedis, first prefix: String = "", between: () async throws -> Void = {}
    ) async throws {
        let source = try await owner(ofSlot: slot)
        guard source !== target, let port = target.port else { return }
        let (from, to) = (name(of: source), name(of: target))
        try await target.askLoaded("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", from)
        try await source.askLoaded("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", to)
        let deadline = Deadline.after(PrivateServer.startLimit)
        while try await source.askLoaded("CLUSTER", "COUNTKEYSINSLOT", "\(slot)") != "0" {
            guard !deadline.hasPassed else {
                throw ServerError.refused(operation: "move slot \(slot)", reason: "not all keys in time")
            }
            let key = try await source.firstKey(inSlot: slot, like: prefix)
            guard let key else { continue }
            try await source.askLoaded("MIGRATE", "127.0.0.1", "\(port)", key, "0", "5000")
            try await between()
        }
        for node in [target, source] { try await node.askLoaded("CLUSTER", "SETSLOT", "\(slot)", "NODE", to) }
    }

    /// Whether a slot can be moved as a whole, as Valkey does since 9.0.
    package func movesSlotsWhole() async throws -> Bool {
        let info = try await masters[0].ask("INFO", "server")
        let version = info.firstMatch(of: /valkey_version:(\d+)/).flatMap { Int($0.1) }
        return version.map { $0 >= 9 } ?? false
    }

    /// Moves a slot to another master as a whole, while the cluster is used: the new master has a copy, and then the slot.
    ///
    /// Valkey: <https://valkey.io/topics/atomic-slot-migration/>
    ///
    /// - Throws: ``ServerError``, also when it isn't there in time.
    package func moveWhole(slot: Int, to target: PrivateRedis) async throws {
        let source = try await owner(ofSlot: slot)
        guard source !== target else { return }
        try await source.ask(
            "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", "\(slot)", "\(slot)", "NODE", name(of: target))
        try await waiting("slot \(slot) to move") { try await owner(ofSlot: slot, as: source) === target }
    }

    /// Cuts a node off from all other nodes, and their replicas and its own from it; clients reach it as ever.
    ///
    /// A master believes in its slots for the node timeout from now on, and takes writes. Needs ``links``.
    package func isolate(_ node: PrivateRedis) {
        guard let index = nodes.firstIndex(where: { $0 === node }) else { return }
        for (other, link) in links.enumerated() {
            link.bus.bar(other == index ? Set(links.map(\.source)) : [links[index].source])
            link.clients.bar(other == index ? Set(links.map(\.source)) : [links[index].source])
        }
    }

    /// Ends every ``isolate(_:)``.
    package func reunite() {
        for link in links {
            link.bus.bar([])
            link.clients.bar([])
        }
    }

    /// Returns when all nodes that run say that the cluster is whole, there are as many masters as it began with, and every
    /// replica has what its master has.
    ///
    /// - Throws: ``ServerError`` when that isn't so within half a minute; `CancellationError`.
    package func settle() async throws {
        try await waiting("the cluster to be whole") {
            var mastersSeen = 0
            for node in nodes where node.isRunning {
                guard try await node.askLoaded("CLUSTER", "INFO").contains("cluster_state:ok") else { return false }
                let isReplica = try await node.replication("role") == "slave"
                if isReplica, try await node.replication("master_link_status") != "up" { return false }
                mastersSeen += isReplica ? 0 : 1
            }
            // One that was replaced and doesn't know it yet is one too many.
            return mastersSeen == masters.count
        }
        for node in nodes where node.isRunning {
            guard try await node.replication("role") == "master", let replica = try await replica(of: node) else {
                continue
            }
            try await replica.catchUp(with: node)
        }
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
    fileprivate func firstKey(inSlot slot: Int, like prefix: String) async throws -> String? {
        // The reply is a list, of which a script takes one.
        let key = try await ask(
            "EVAL",
            """
            local keys = redis.call('CLUSTER', 'GETKEYSINSLOT', ARGV[1], 1000)
            for _, key in ipairs(keys) do
              if string.sub(key, 1, #ARGV[2]) == ARGV[2] then return key end
            end
            return keys[1] or ''
            """, "0", "\(slot)", prefix)
        return key.isEmpty ? nil : key
    }
}
