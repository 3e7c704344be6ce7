import ArgumentParser
import Connections
import Inspection
import OrderLog

/// `onewrite upgrade`.
struct UpgradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Bring the log to the newest format that this program knows; safe to repeat.",
        discussion: """
            Example:
              onewrite upgrade --dry-run

            First replace the workers, one by one, and the applications that submit: this version serves the older format as \
            well. Then upgrade, once, while all of them go on. It is refused while a worker lives that doesn't know the new \
            format (exit 75). There is no way back: an older program ends with 78 from then on. docs/upgrading.md has all \
            steps.
            """)

    @Flag(help: "Do it; without this only the plan is printed.")
    var yes = false

    @Flag(name: .customLong("dry-run"), help: "Only print the plan, also with --yes.")
    var isDryRun = false

    @Flag(help: "One JSON object (onewrite/upgrade/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-upgrade")
        try settings.sayWhere()
        let acts = yes && !isDryRun
        let plan = try await CommandLane().run { _ in
            var patience = Patience()
            return try patience.attempt {
                let upgrade = try LogUpgrade(servers)
                return acts ? try upgrade.run() : try upgrade.plan()
            }
        }
        if json { try Console.printJSON(plan) } else { Console.print(plan.text) }
        guard !plan.steps.isEmpty else { return }
        if !plan.isDone { Console.error("nothing was changed" + (yes || isDryRun ? "" : "; --yes does it")) }
        guard plan.obstacles.isEmpty else {
            throw Failure(
                .tryAgain,
                (plan.isDone ? "started meanwhile: " : "in the way: ") + plan.obstacles.joined(separator: "; ")
                    + ". Replace workers of an older version, and try again")
        }
    }
}

extension UpgradePlan {
    /// The plan for people.
    fileprivate var text: String {
        guard !steps.isEmpty else {
            return "log \(log): format \(newest), the newest that this program knows. There is nothing to do"
        }
        if isDone { return "log \(log): format \(newest)" }
        var lines = ["log \(log): format \(redis) in Redis, \(postgres) in Postgres; to be brought to \(newest)"]
        for step in steps {
            lines.append("format \(step.format): \(step.title)")
            lines.append("  postgres  \(step.postgres ?? "done")")
            lines.append("  redis     \(step.redis ?? "done")")
        }
        lines += workerLines
        if workers.isEmpty { lines.append("no worker is there") }
        return lines.joined(separator: "\n")
    }
}
