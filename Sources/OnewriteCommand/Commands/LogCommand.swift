import ArgumentParser
import Connections
import Coordination
import Inspection
import OrderLog
import ThreadedIO

/// `onewrite log`.
struct LogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Print the log, as it is or as it grows.",
        discussion: """
            Examples:
              onewrite log --shop main
              onewrite log --follow --json | jq -r 'select(.type == "order.placed") | .id'

            Oldest first, by the time of appending; within a partition always in the log's order. What was trimmed comes from the \
            ledger in Postgres. It reads past all groups: nothing is delivered, and no position moves.

            --follow goes on until Ctrl-C, also across restarts of Redis. An entry may be lost with Redis's tail as long as \
            Postgres has not applied it; one that was put back is printed again, under a higher epoch: readers that act on it \
            go by partition and seq.
            """)

    @Flag(help: "Go on with what is appended.")
    var follow = false

    @Option(
        help: ArgumentHelp(
            "Where to begin: start, now, or a seq with --shop or --partition (default: start; with --follow now).",
            valueName: "place"))
    var from: String?

    @Option(help: ArgumentHelp("Only this shop's.", valueName: "shop"))
    var shop: String?

    @Option(help: ArgumentHelp("Only this partition.", valueName: "P"))
    var partition: Int?

    @Option(help: ArgumentHelp("End after so many.", valueName: "N"))
    var limit: Int?

    @Flag(help: "A JSON object a line: place, then the change as submit takes it.")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit: expected 1 or more, got \(limit)") }
        if let partition, !(0..<Limits.partitions.upperBound).contains(partition) {
            throw ValidationError("--partition: expected 0 or more, got \(partition)")
        }
        if shop != nil, partition != nil { throw ValidationError("--shop, --partition: expected one of them") }
        guard let from else { return }
        guard ["start", "now"].contains(from) || Int64(from).map({ $0 > 0 }) == true else {
            throw ValidationError("--from: expected start, now, or a seq of 1 or more, got \(FieldError.quote(from))")
        }
        if Int64(from) != nil, shop == nil, partition == nil {
            throw ValidationError("--from: each partition has seqs of its own: say --shop or --partition, too")
        }
    }

    private var start: LogFeed.Start {
        if let seq = from.flatMap({ Int64($0) }) { return .seq(Seq(seq)) }
        return (from ?? (follow ? "now" : "start")) == "now" ? .now : .beginning
    }

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-log")
        try await StopRequest.handlingSignals(saying: "stopping") { stop in
            do {
                try await CommandLane().run { _ in try await print(servers, stop) }
            } catch {
                if let status = stop.exitStatus { throw Stopped(status: status) }
                throw error
            }
        }
    }

    private func print(_ servers: Servers, _ stop: StopRequest) async throws {
        let only = try shop.map { try self.partition(of: $0, servers) } ?? partition.map { Partition($0) }
        let feed = LogFeed(servers, from: start, follows: follow, only: only, interrupt: stop.interrupt) {
            Console.error("warning: \($0)")
        }
        let output = OutputBuffer(stop: stop)
        defer { output.flush() }
        // Of a server that is loading, say; --follow waits for any, and for longer.
        var patience = Patience(interrupt: stop.interrupt)
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        var (count, told) = (0, String?.none)
        while true {
            do {
                while let item = try await patience.attempt({ try await feed.next() }) {
                    if let shop, item.shop?.hasSameBytes(as: shop) != true { continue }
                    output.append((json ? item.json : item.text) + "\n")
                    count += 1
                    if count == limit { return }
                    if stop.isRequested { throw CancellationError() }
                }
                output.flush()
                guard follow else { return }
                if stop.isRequested { throw CancellationError() }
                try await feed.wait(upTo: .seconds(10))
                backoff.reset()
                told = nil
            } catch {
                guard follow, !stop.isRequested, let failure = LogError(anyOf: error),
                    [.unreachable, .tryAgain].contains(failure.kind)
                else { throw error }
                output.flush()
                if told != failure.message { Console.error("\(failure.message); trying again") }
                told = failure.message
                feed.disconnect()
                stop.interrupt.wait(until: .after(backoff.next(using: &generator)))
            }
        }
    }

    private func partition(of shop: String, _ servers: Servers) throws -> Partition {
        var patience = Patience()
        return try patience.attempt { try servers.identity(servers.redis()).partitioning.partition(ofShop: shop) }
    }
}

extension LogFeed.Item {
    /// nil when it is no change.
    fileprivate var shop: String? {
        if case .change(let change) = content { change.shop } else { nil }
    }
}
