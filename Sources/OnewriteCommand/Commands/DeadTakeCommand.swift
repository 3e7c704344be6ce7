import ArgumentParser
import Connections
import Dashboard
import Inspection
import Onewrite
import OrderLog

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
        let take = DeadLetterTake(
            group: group, partition: Partition(partition), seq: seq.map { Seq($0) }, reason: reason)
        let row = try await CommandLane().run { [acts = acting.acts] _ in
            try await take.run(servers, isServed: seen?.state == .serving, acts: acts)
        }
        if acting.json { try Console.printJSON(row) } else { Console.print(DeadLetterText.line(row)) }
        acting.remind()
    }
}
