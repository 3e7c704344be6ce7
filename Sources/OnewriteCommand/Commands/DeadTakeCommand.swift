import ArgumentParser
import Connections
import Coordination
import Dashboard
import Inspection
import Onewrite
import OrderLog
import RedisClient
import RedisLog
import Reports
import ThreadedIO

/// `onewrite dead take`.
struct DeadTakeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "take",
        abstract: "Set aside the entry on which a sink is stalled.",
        discussion: """
            Example:
              onewrite dead take --group stock --partition 5 --reason "beyond 2^53" --yes

            That is the entry right behind the group's position; the sink goes on behind it, without its effect. Mend what \
            stalls it instead, if you can: nothing is lost while it waits. An entry that only some sinks applied can't be \
            retried. A worker that serves the partition takes over again by itself.
            """)

    @Argument(help: "The entry's seq: to be sure, or to take one on which the sink isn't stalled.")
    var seq: Int64?

    @Option(help: "The group whose sink is stalled: postgres, stock or delivery.")
    var group: Group

    @Option(help: ArgumentHelp("The partition.", valueName: "P"))
    var partition: Int

    @Option(help: ArgumentHelp("Why.", valueName: "text"))
    var reason: String

    @OptionGroup var acting: ActingOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        try ReasonText.check(reason)
        if let seq, seq < 1 { throw ValidationError("seq: expected 1 or more, got \(seq)") }
    }

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-dead")
        try settings.sayWhere()
        let snapshot = try await StatusWatch(servers, environment: settings.environment(), notice: Console.error)
            .snapshot(patiently: true)
        let count = snapshot.partitions ?? 0
        guard (0..<count).contains(partition) else {
            throw Failure(.usage, "--partition: expected 0 to \(count - 1), got \(partition)")
        }
        let seen = snapshot.groups.first { $0.name == group.name }?.partitions[partition]
        if let error = seen?.error { Console.error("\(group.name) partition \(partition): \(sanitized(error))") }
        let row = try await CommandLane().run { [taking = Taking(self)] _ in
            try await taking.run(servers, isServed: seen?.state == .serving)
        }
        if acting.json { try Console.printJSON(row) } else { Console.print(DeadLetterText.line(row)) }
        acting.remind()
    }
}

/// What is to be taken, on the lane.
private struct Taking: Sendable {
    let group: Group
    let partition: Partition
    let seq: Seq?
    let reason: String
    let acts: Bool

    init(_ command: DeadTakeCommand) {
        group = command.group
        partition = Partition(command.partition)
        seq = command.seq.map { Seq($0) }
        reason = command.reason
        acts = command.acting.acts
    }

    func run(_ servers: Servers, isServed: Bool) async throws -> DeadLetterRow {
        let redis = try servers.redis()
        let identity = try servers.identity(redis)
        guard let sink = SinkDefinition.builtIn.first(where: { $0.group == group }) else {
            throw Failure(.usage, "--group: the sink of \(group) is in an application, which alone can take it over")
        }
        guard let owner = WorkerName("take-\(UInt32.random(in: 0..<(1 << 24)))") else {
            throw Failure(.bug, "a made-up name is no name")
        }
        let ports = try await sink.ports(on: servers, of: identity, as: owner)
        let taking = EntryTaking(ports, partition)
        let position = try await position(ports, redis, servers.keys)
        let (entry, place) = try found(try await taking.look(behind: position))
        if let seq, seq != place {
            throw Failure(
                .no,
                "\(group.name) is at seq \(position.seq): only the entry at seq \(place) can be taken, not \(seq)")
        }
        if isServed, seq == nil, acts {
            throw Failure(
                .no,
                "\(group.name) is not stalled in partition \(partition): a worker serves it. To take the entry all the "
                    + "same, name its seq, \(place)")
        }
        let now = try SnapshotReader.milliseconds(
            try redis.call(RedisCommand("TIME"), until: .after(StreamLog.timeout)))
        let part = DeadLetter.Part(
            group: group, record: nil, reason: Quarantine.Reason.taken.rawValue, error: reason, milliseconds: now,
            resolution: nil)
        let letter = DeadLetter(
            partition: partition, seq: place, entry: entry.id.description, fields: entry.fields, parts: [part])
        var row = DeadLetterRow(letter: letter, now: now, knowsPostgres: true)
        row.outcome = .planned("to be set aside by \(group.name): \(reason)")
        guard acts else { return row }
        switch try await taking.take(place, why: reason) {
        case .taken: row.outcome = .taken
        case .moved(let position):
            throw Failure(.no, "\(group.name) went on by itself, to seq \(position.seq): nothing was set aside")
        case .again(let why): throw Failure(.tryAgain, "nothing was set aside: \(why)")
        }
        return row
    }

    private func found(_ look: EntryTaking.Look) throws -> (Entry, Seq) {
        switch look {
        case .found(let entry, let seq): (entry, seq)
        case .nothing(let position):
            throw Failure(
                .no,
                "\(group.name) has applied all of partition \(partition), up to seq \(position.seq): nothing is "
                    + "stalled")
        case .refused(let why): throw Failure(.tryAgain, "partition \(partition): \(why)")
        }
    }

    private func position(_ ports: SessionPorts, _ redis: RedisConnection, _ keys: Keys) async throws -> Position {
        if let ledger = ports.ledger { return try await ledger.row(of: partition).position }
        let reply = try redis.call(
            RedisCommand("HMGET", keys.position(partition, group), "epoch", "seq", "entry"),
            until: .after(StreamLog.timeout)
        ).requireArray(count: 3)
        return Position(
            epoch: Epoch(Int64(reply[0].wholeNumber ?? 0)), seq: Seq(Int64(reply[1].wholeNumber ?? 0)),
            entry: EntryID(reply[2].repairedText ?? ""))
    }
}
