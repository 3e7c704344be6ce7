import ArgumentParser
import Connections
import Foundation
import Inspection
import OrderLog
import PostgresClient
import RedisLog
import Sinks
import ThreadedIO

/// `onewrite incident`.
struct IncidentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "incident",
        abstract: "What went wrong in the stores, and was settled by a person.",
        discussion: """
            A group is halted where the log lacks what it has not applied. docs/operating.md says how to bring that in by hand; \
            what stays different afterwards, such as the hole in the log, is recorded here. order shows it, and audit counts it \
            as agreed.

            Examples:
              onewrite incident list
              onewrite incident settle 5:117-118 --group stock --what counted --reason XDEL
            """,
        subcommands: [IncidentListCommand.self, IncidentSettleCommand.self])
}

/// `onewrite incident list`.
struct IncidentListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "The incidents that were recorded, the oldest first.",
        discussion: """
            Example:
              onewrite incident list --json | jq -r .reason
            """)

    @Option(help: ArgumentHelp("Only this partition's.", valueName: "P"))
    var partition: Int?

    @Flag(help: "A JSON object a line (onewrite/incident/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let partition, !(0..<Limits.partitions.upperBound).contains(partition) {
            throw ValidationError("--partition: expected 0 or more, got \(partition)")
        }
    }

    func run() async throws {
        let servers = try Servers(try common.settings(), name: "onewrite-incident")
        let incidents = try await CommandLane().run { [partition] _ in
            var patience = Patience()
            return try patience.attempt {
                try IncidentBook(servers).incidents(in: partition.map { Partition($0) })
            }
        }
        for incident in incidents {
            if json { try Console.printJSON(incident) } else { Console.print(incident.text) }
        }
        if incidents.isEmpty { Console.error("there are no incidents") }
    }
}

/// `onewrite incident settle`.
struct IncidentSettleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settle",
        abstract: "Record what was done by hand, so that audit counts it as agreed.",
        discussion: """
            Example:
              onewrite incident settle 5:117-118 --group stock --what counted --reason XDEL

            It changes no store. Of these seqs, audit then counts as agreed: an entry that the log lacks; for delivery, a job that \
            is missing, elsewhere or another; for postgres, a row of the ledger, an order or lines that are missing or others. \
            Whatever else differs, or differs elsewhere, is told as before.
            """)

    @Argument(help: "PARTITION:SEQS, such as 5:15137-15138,15140.")
    var place: IncidentPlace

    @Option(help: "The group in which it was met: postgres, stock or delivery.")
    var group: Group

    @Option(help: ArgumentHelp("What went wrong, and what was done.", valueName: "text"))
    var what: String

    @Option(help: ArgumentHelp("Why.", valueName: "text"))
    var reason: String

    @Option(help: ArgumentHelp("Who did it (default: user@host).", valueName: "name"))
    var by: String?

    @Flag(help: "Do it; without this only the plan is printed.")
    var yes = false

    @Flag(help: "A JSON object (onewrite/incident/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        for (name, text) in [("--reason", reason), ("--what", what), ("--by", by ?? "-")] {
            try ReasonText.check(text, name)
        }
    }

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-incident")
        try await servers.require([group])
        let incident = Incident(
            at: nil, who: by ?? Resolution.person, kind: group.name, partition: place.partition, seqs: place.seqs,
            what: what, reason: reason)
        try settings.sayWhere()
        let plan = try await CommandLane().run { [place, group, yes] _ in
            var patience = Patience()
            return try patience.attempt {
                try IncidentBook.settle(incident, in: place.partition, place.seqs, of: group, servers, acts: yes)
            }
        }
        if json { try Console.printJSON(incident) } else { Console.print(incident.text) }
        for line in plan { Console.error(line) }
        if !yes { Console.error("nothing was recorded; --yes does it") }
    }
}

/// `5:15137-15138,15140`.
struct IncidentPlace: ExpressibleByArgument {
    let partition: Int
    let seqs: SeqRanges

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let partition = Int(parts[0]), partition >= 0, let seqs = SeqRanges(String(parts[1]))
        else {
            return nil
        }
        (self.partition, self.seqs) = (partition, seqs)
    }
}
