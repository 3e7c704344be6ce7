import Coordination
package import OrderLog
import RedisClient
import RedisLog
import Reports

/// What needs a person, gravest first, with what to do about it.
package struct Warnings {
    private let findings: [GroupFindings]
    private let ledger: LedgerLook
    private(set) var all: [Snapshot.Warning] = []

    /// As many different troubles of one kind are told one by one; a table of a thousand helps nobody.
    private static let listedMax = 8
    /// A worker that is connected but has not been heard for so long is stopped or stuck.
    private static let silenceMilliseconds = 10_000

    package init(
        _ findings: [GroupFindings], ledger: LedgerLook, format: LogFormat, standby: String?, redis address: String,
        facts: ServerFacts, now: Int
    ) {
        self.findings = findings
        self.ledger = ledger
        if let master = facts.master {
            add("replica", hint: "\(RedisError.isReplica(address: address, master: sanitized(master)))")
        }
        if let standby { add("replica", .postgres, hint: standby) }
        addStates(.halted, "halted until a person decides")
        addClosed()
        for found in findings { add(to: found, now: now) }
        addStates(.stalled, "stalled, and trying again")
        addUnreadable()
        addFormats(format)
        if let policy = facts.evictionPolicy, policy != "noeviction" {
            add("eviction", hint: "Redis may evict the log (maxmemory-policy \(policy)): set it to noeviction")
        }
        guard let file = facts.appendOnlyFile else { return }
        if !file.isOn {
            add(
                "no-aof",
                hint: "Redis keeps no append-only file: what it holds is lost when it ends. Set appendonly yes")
        } else if file.keepsOldTail {
            add(
                "aof-tail",
                hint: "Redis has not rewritten its append-only file since it was started, or failed to: half a "
                    + "transaction that a power cut left in it may be executed at the next start. Run: redis-cli "
                    + "BGREWRITEAOF")
        }
    }

    private mutating func add(_ code: String, _ group: Group? = nil, partition: Int? = nil, hint: String) {
        all.append(Snapshot.Warning(code: code, group: group?.name, partition: partition, hint: hint))
    }

    /// What is about a group as a whole.
    private mutating func add(to found: GroupFindings, now: Int) {
        let (group, shown) = (found.group, found.shown)
        let hasWork = (shown.lag ?? 1) > 0 || (shown.pending ?? 1) > 0
        if found.workforce.present.isEmpty, hasWork {
            add("no-worker", group, hint: "no worker: onewrite worker --group \(group.name)")
        }
        if group == .postgres {
            switch ledger {
            case .unreachable(let error):
                add(
                    "postgres-unreachable", group,
                    hint: "position and dead letters are unknown: \(error)")
            case .unusable(_, let reason): add("schema", group, hint: reason)
            case .notConfigured, .rows: break
            }
        }
        let missing = found.sinks.filter(\.isGroupMissing).map(\.partition)
        if !missing.isEmpty {
            add(
                "group-missing", group, partition: missing.count == 1 ? missing[0] : nil,
                hint: "the consumer group is missing\(missing.count == 1 ? "" : " in " + list(missing)): "
                    + "a worker that takes over creates it again, and so does onewrite init")
        }
        let silent = found.workforce.present.filter { now - $0.lastHeartbeat > Self.silenceMilliseconds }
        if !silent.isEmpty {
            let names = silent.prefix(Self.listedMax).map(\.name.text).joined(separator: " ")
            let more = silent.count > Self.listedMax ? " …" : ""
            add(
                "worker-silent", group,
                hint: "connected, but without a heartbeat: \(names)\(more). Stopped or overloaded? Others take over")
        }
        if found.orphaned > 0 {
            let who = found.workforce.present.isEmpty ? "a worker" : "the next worker that takes their partition over"
            add(
                "orphaned", group,
                hint: "\(found.orphaned) pending with consumers that have no live worker: \(who) will reclaim them")
        }
        if let dead = shown.dead, dead > 0 {
            add("dead-letters", group, hint: "\(dead) dead letter\(dead == 1 ? "" : "s"): onewrite dead list")
        }
    }

    /// Partitions in a state, those with the same error together.
    private mutating func addStates(_ state: Snapshot.Partition.State, _ fallback: String) {
        for found in findings {
            var partitions: [String: [Int]] = [:]
            for partition in found.shown.partitions where partition.state == state {
                // That Postgres can't be reached is told once, in our own words.
                let reason =
                    ledger.server.error == nil || found.group != .postgres ? partition.error : "waiting for Postgres"
                partitions[reason ?? fallback, default: []].append(partition.partition)
            }
            let ordered = partitions.sorted { $0.value[0] < $1.value[0] }
            for (error, numbers) in ordered.prefix(Self.listedMax) {
                let isOne = numbers.count == 1
                add(
                    state.rawValue, found.group, partition: isOne ? numbers[0] : nil,
                    hint: "\(isOne ? "" : list(numbers) + " ")\(state.rawValue): \(error)")
            }
            let rest = ordered.dropFirst(Self.listedMax).flatMap(\.value)
            if !rest.isEmpty {
                add(
                    state.rawValue, found.group, hint: "\(list(rest.sorted())) \(state.rawValue) for other reasons"
                )
            }
        }
    }

    /// The log is closed for all groups alike: it is told once.
    private mutating func addClosed() {
        guard let found = findings.first else { return }
        var partitions: [String: [Int]] = [:]
        // Where a person has to decide, no worker opens: that is told already.
        let halted = Set(findings.flatMap(\.shown.partitions).filter { $0.state == .halted }.map(\.partition))
        var told = halted
        for partition in findings.flatMap(\.shown.partitions)
        where partition.state == .closed && told.insert(partition.partition).inserted {
            partitions[partition.error ?? "", default: []].append(partition.partition)
        }
        let hasOpener = findings.contains { $0.group == .postgres && !$0.workforce.present.isEmpty }
        let advice =
            hasOpener
            ? "A worker of the group postgres opens it"
            : "A worker of the group postgres opens it, and so does onewrite open"
        for (reason, numbers) in partitions.sorted(by: { $0.key < $1.key }).prefix(Self.listedMax) {
            let whole = numbers.count == found.sinks.count
            let place = whole ? "the log" : "the log of \(list(numbers))"
            add(
                "closed", partition: numbers.count == 1 && !whole ? numbers[0] : nil,
                hint: "\(place) is closed: \(reason). \(advice)")
        }
    }

    /// Keys that hold something else than they should, or that this user may not read.
    private mutating func addUnreadable() {
        for found in findings {
            let troubled = found.sinks.filter { $0.trouble != nil }
            guard let error = troubled.first?.trouble else { continue }
            add(
                "unreadable", found.group, partition: troubled.count == 1 ? troubled[0].partition : nil,
                hint: "not all can be read in \(list(troubled.map(\.partition))): \(error)")
        }
        let heads = findings.first?.heads.enumerated().filter { $0.element.trouble != nil } ?? []
        if let error = heads.first?.element.trouble {
            add("unreadable", hint: "the head can't be read in \(list(heads.map(\.offset))): \(error)")
        }
    }

    /// An upgrade that was not ended, and workers that don't know what it led to.
    private mutating func addFormats(_ format: LogFormat) {
        if case .rows(_, let other, _) = ledger, other != format {
            add(
                "format",
                hint:
                    "the log is of format \(format) in Redis and of format \(other) in Postgres: an upgrade was not ended. "
                    + "Workers go on meanwhile; end it: onewrite upgrade --yes")
        }
        for found in findings {
            let old = found.workforce.present.filter { $0.report.map { !$0.knows(format) } ?? false }
            guard !old.isEmpty else { continue }
            let names = old.prefix(Self.listedMax).map(\.name.text).joined(separator: " ")
            add(
                "format", found.group,
                hint: "the log is of format \(format), which these workers don't know: \(names)"
                    + "\(old.count > Self.listedMax ? " …" : ""). Replace them by this version's")
        }
    }

    /// `partition 3`, `partitions 0 2 5`, `partitions 0 1 2 3 4 5 6 7 and 16 more`, `all partitions`.
    private func list(_ partitions: [Int]) -> String {
        if partitions.count > 1, partitions.count == findings.first?.sinks.count { return "all partitions" }
        let shown = partitions.prefix(Self.listedMax).map(String.init).joined(separator: " ")
        let more = partitions.count > Self.listedMax ? " and \(partitions.count - Self.listedMax) more" : ""
        return "partition\(partitions.count == 1 ? "" : "s") \(shown)\(more)"
    }
}
