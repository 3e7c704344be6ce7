import ArgumentParser
import Foundation
import Logging
import Onewrite
import SearchIndex
import ServiceLifecycle

@main
struct SearchWorker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search-worker", abstract: "Keep a full-text index of all orders, and ask it.",
        subcommands: [Run.self, Find.self])
}

/// Where the index is.
struct IndexOptions: ParsableArguments {
    @Option(help: "The index: a SQLite file.", completion: .file())
    var index = "search.sqlite"
}

/// `search-worker run`.
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the group search until it is told to stop.",
        discussion: "REDIS_URL and DATABASE_URL say where the log is, as for onewrite.")

    @OptionGroup var options: IndexOptions

    @Option(help: "How many seconds its lease lasts, 1 to 600: as long may others wait for a worker that is gone.")
    var lease = 10

    @Option(help: "The worker's name, unique in the group (default: made up).")
    var name: String?

    func validate() throws {
        if let name, WorkerName(name) == nil { throw ValidationError("--name: \(name) can't be one") }
        guard (1...600).contains(lease) else { throw ValidationError("--lease: expected 1 to 600, got \(lease)") }
    }

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        var log = try LogConfiguration(
            redis: environment["REDIS_URL"] ?? "redis://127.0.0.1:6379/0", postgres: environment["DATABASE_URL"] ?? "")
        log.lease = .seconds(lease)
        guard let group = Group("search") else { preconditionFailure("a group's name") }
        let (logger, path) = (Logger(label: "search"), options.index)
        let search = SinkDefinition(group, from: .start) { try SearchIndex(path: path) }
        let worker = try Worker(log, sinks: [search], name: name.flatMap { WorkerName($0) }, logger: logger)
        try await ServiceGroup(
            services: [worker], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
        ).run()
    }
}

/// `search-worker find`.
struct Find: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find orders by the beginnings of words in ID, customer, lines and attributes.")

    @Argument(help: "The words; all have to be there.")
    var text: [String]

    @Option(help: "The most orders to print.")
    var limit = 20

    @OptionGroup var options: IndexOptions

    func run() async throws {
        for hit in try await SearchIndex(path: options.index).find(text.joined(separator: " "), limit: limit) {
            print("\(hit.shop)  \(hit.id)  \(hit.status)  \(hit.customer)  \(hit.lines)")
        }
    }
}
