import ArgumentParser
import Connections
import Dashboard
import Foundation
import Inspection
import OrderLog

/// `onewrite pending`.
struct PendingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pending",
        abstract: "Pending entries, oldest first.",
        discussion: """
            Example:
              onewrite pending --json | jq -r 'select(.state == "orphaned") | .entry'

            STATE is in-flight (a live worker has it), orphaned (its consumer has no live worker: whoever takes the partition \
            over reclaims it) or lost (the entry is gone from the log).
            """)

    @Option(help: "Only this group: postgres, stock or delivery.")
    var group: Group?

    @Option(help: ArgumentHelp("The most entries to show, 1 to \(Self.limitMax).", valueName: "N"))
    var limit = 100

    @Flag(help: "A JSON object a line.")
    var json = false

    @OptionGroup var common: CommonOptions

    private static let limitMax = 100_000

    func validate() throws {
        guard (1...Self.limitMax).contains(limit) else {
            throw ValidationError("--limit: expected 1 to \(Self.limitMax), got \(limit)")
        }
    }

    func run() async throws {
        let servers = try Servers(try common.settings(), name: "onewrite-pending")
        try await servers.require(group.map { [$0] } ?? [])
        let answer = try await CommandLane().run { [group, limit] _ in
            var patience = Patience()
            return try patience.attempt { try PendingReader.answer(servers, group: group, limit: limit) }
        }
        let entries = answer.entries
        if json {
            for entry in entries { try Console.printJSON(entry) }
        } else if !entries.isEmpty {
            Console.write(PendingTable.text(entries), to: STDOUT_FILENO)
        }
        if entries.isEmpty { Console.error("nothing is pending") }
        if entries.count == limit, answer.total > limit {
            Console.error("the oldest \(limit) of \(FieldError.spaced(answer.total)); --limit shows more")
        }
        for group in answer.missing {
            Console.error("warning: the consumer group \(group.name) is missing in some partitions")
        }
    }
}
