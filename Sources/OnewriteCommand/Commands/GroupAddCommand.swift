import ArgumentParser
import Connections
import Foundation
import OrderLog
import RedisLog
import SinkKinds
import ThreadedIO

/// `onewrite group add`.
struct GroupAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Record a group: where it leads, and where it begins.",
        discussion: """
            Examples: a store without code of each kind, and a sink of one's own.
              onewrite group add shipping --kind kafka --brokers k1:9092 --topic orders
              onewrite group add points --kind postgres --url-env POINTS_URL --function f
              onewrite group add crm --kind webhook --url https://crm.example/ --unsigned
              onewrite group add pages --kind redis-script pages.lua
              onewrite group add search --from now

            A kind's settings are tried before the group is recorded. From the start: the store is given the log's first change \
            and all behind it. What the log no longer holds comes from the ledger in Postgres, without a gap and without an \
            overlap. From now: only what is appended from now on. Where a group begins is fixed; remove it to begin anew.
            """)

    @Argument(help: "The group's name: a-z 0-9 -, 1 to 32 of them, a letter first.")
    var group: Group

    @Option(help: "Where it begins: start or now.")
    var from: GroupDefinition.Start = .start

    @OptionGroup var store: KindOptions

    @Flag(help: "Record it without trying its settings.")
    var untried = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if Group.builtIn.contains(group) { throw ValidationError("\(group) is built in: every log has it") }
    }

    func run() async throws {
        let servers = try Servers(try common.settings(), name: "onewrite-group")
        let (kind, settings) = (store.kind ?? GroupDefinition.own, try store.settings())
        let wanted = GroupDefinition(kind: kind, from: from, settings: settings)
        let (definition, isNew) = try await CommandLane().run { [group, from, untried] _ in
            let sink = try wanted.store(of: group)
            var patience = Patience()
            return try patience.attempt {
                let redis = try servers.master()
                let identity = try servers.identity(redis)
                if !untried { try sink?.check(servers, of: identity) }
                return try redis.add(
                    group, from: from, kind: kind, settings: settings, servers.keys, identity.partitioning)
            }
        }
        let isSame = definition.from == from && definition.kind == kind && definition.settings == settings
        if !isNew, !isSame {
            throw Failure(
                .no,
                "\(group) is there already, is of kind \(definition.kind), and began from \(definition.from.rawValue)"
                    + (definition.kind == kind && definition.from == from ? ", with other settings" : "")
                    + ". To begin anew: onewrite group remove \(group)")
        }
        let served =
            kind == GroupDefinition.own
            ? "Its worker is in your application"
            : "Workers that serve all groups take it up; or: onewrite worker --group \(group)"
        Console.print(
            isNew ? "group \(group) begins from \(from.rawValue). \(served)" : "group \(group) is there already")
    }
}

/// `onewrite group change`.
struct GroupChangeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "change", abstract: "Give a group other settings of its kind; it goes on where it is.",
        discussion: """
            Examples: a script that was mended, and a receiver that moved.
              onewrite group change pages pages.lua
              onewrite group change crm --url https://crm.example/v2 --secret-env KEY

            All settings are said anew; what isn't said has its default. They are tried first, and workers take them up at once. \
            delivery can be led to another store than its list in Redis, from where it is (--kind; for Kafka with --value job); \
            what is in the list stays there, and there is no way back.
            """)

    @Argument(help: "The group's name.")
    var group: Group

    @OptionGroup var store: KindOptions

    @Flag(help: "Record them without trying them.")
    var untried = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if Group.builtIn.contains(group), group != .delivery {
            throw ValidationError("\(group) is built in, and has no settings")
        }
    }

    func run() async throws {
        let servers = try Servers(try common.settings(), name: "onewrite-group")
        try await CommandLane().run { [group, untried, store] _ in
            var patience = Patience()
            try patience.attempt {
                let redis = try servers.master()
                let identity = try servers.identity(redis)
                guard let old = try redis.groupDefinitions(servers.keys).first(where: { $0.group == group })?.definition
                else { throw Failure(.no, "there is no group \(group)") }
                let isInList = group == .delivery && [group.name, GroupDefinition.changing].contains(old.kind)
                if isInList {
                    guard let kind = store.kind else {
                        throw Failure(.usage, "delivery is a list in Redis. To lead it to another store, say --kind")
                    }
                    let settings = try store.settings(of: kind)
                    let sink = try GroupDefinition(kind: kind, from: .start, settings: settings).store(of: group)
                    if !untried { try sink?.check(servers, of: identity) }
                    return try DeliveryMove(servers, redis, of: identity).run(to: kind, settings)
                }
                guard store.kind ?? old.kind == old.kind else {
                    throw Failure(
                        .no, "\(group) is of kind \(old.kind); to make it another: onewrite group remove \(group)")
                }
                let definition = GroupDefinition(
                    kind: old.kind, from: old.from, began: old.began, settings: try store.settings(of: old.kind))
                guard let sink = try definition.store(of: group) else {
                    throw Failure(.no, "\(group) is for a sink of one's own, and has no settings")
                }
                if !untried { try sink.check(servers, of: identity) }
                try redis.change(group, to: definition, servers.keys)
            }
        }
        Console.print("group \(group) is changed")
    }
}

/// What is said of a group's store.
struct KindOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The kind of store: \(SinkKinds.all.map { $0.name }.joined(separator: ", ")) (default: a sink of one's own, which "
                + "an application brings).", valueName: "kind"), completion: .list(SinkKinds.all.map { $0.name }))
    var kind: String?

    @Option(help: ArgumentHelp("kafka: the brokers to begin with, HOST:PORT parted by commas.", valueName: "addresses"))
    var brokers: String?

    @Option(help: ArgumentHelp("kafka: the topic, which is there.", valueName: "topic"))
    var topic: String?

    @Option(help: ArgumentHelp("kafka: a message's key: shop or order (default: shop).", valueName: "key"))
    var key: String?

    @Option(
        help: ArgumentHelp(
            "kafka: a message's value: change, or job for the delivery service (default: change).", valueName: "value"))
    var value: String?

    @Option(
        help: ArgumentHelp(
            "kafka: a setting of librdkafka's, repeated for several; secrets as NAME=env:VARIABLE or NAME=file:PATH.",
            valueName: "name=value"))
    var property: [String] = []

    @Option(help: ArgumentHelp("postgres: the environment variable with the database's URL.", valueName: "name"))
    var urlEnv: String?

    @Option(
        help: ArgumentHelp(
            "postgres: the function to call with changes as jsonb, SCHEMA.NAME.", valueName: "function"))
    var function: String?

    @Option(
        help: ArgumentHelp(
            "postgres: batch, an array of changes in log order, or each change by itself (default: batch).",
            valueName: "how"))
    var call: String?

    @Option(
        help: ArgumentHelp(
            "postgres: the schema of the table with the positions (default: onewrite); see group sql.",
            valueName: "schema"))
    var positions: String?

    @Option(
        help: ArgumentHelp(
            "postgres, webhook: what sets a change aside instead of holding its partition up: SQLSTATEs, or statuses of HTTP, "
                + "parted by commas (default: nothing).", valueName: "codes"))
    var quarantine: String?

    @Option(help: ArgumentHelp("webhook: where to post.", valueName: "url"))
    var url: String?

    @Option(
        help: ArgumentHelp(
            "webhook: the environment variable with the secret that signs, whsec_ and Base64.", valueName: "name"))
    var secretEnv: String?

    @Flag(help: "webhook: don't sign.")
    var unsigned = false

    @Option(
        help: ArgumentHelp(
            "webhook: the environment variable with a header for each request, Name: value.", valueName: "name"))
    var headerEnv: String?

    @Option(help: ArgumentHelp("webhook: changes a request, 1 to 500 (default: 1).", valueName: "N"))
    var batch: String?

    @Option(help: ArgumentHelp("webhook: seconds for an answer, 1 to 60 (default: 10).", valueName: "seconds"))
    var answerWithin: String?

    @Flag(help: "webhook: post to addresses of private networks and of this machine, too.")
    var allowPrivate = false

    @Option(help: ArgumentHelp("webhook: a file with the authorities to trust (PEM).", valueName: "path"))
    var caFile: String?

    @Argument(help: ArgumentHelp("redis-script: the script, Lua that returns a function.", valueName: "file"))
    var file: String?

    /// The settings that were said, by the names that the kinds know.
    ///
    /// - Parameter known: The kind, where it need not be said.
    /// - Returns: Empty for a sink of one's own.
    /// - Throws: ``Failure``.
    func settings(of known: String? = nil) throws -> [String: String] {
        let kind = kind ?? known
        var settings = [
            "url-env": urlEnv, "function": function, "call": call, "positions": positions, "quarantine": quarantine,
            "url": url, "secret-env": secretEnv, "unsigned": unsigned ? "true" : nil, "header-env": headerEnv,
            "batch": batch, "answer-within": answerWithin, "allow-private": allowPrivate ? "true" : nil,
            "ca-file": caFile,
            "brokers": brokers, "topic": topic, "key": key, "value": value,
        ].compactMapValues { $0 }
        for text in property {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw Failure(.usage, "--property: expected name=value, got \(FieldError.quote(text))")
            }
            settings["property.\(parts[0])"] = String(parts[1])
        }
        if let file {
            settings["file"] = URL(filePath: file).lastPathComponent
            settings["script"] = try Self.text(of: file)
        }
        if kind == nil, let name = settings.keys.min() {
            let said = file == nil ? "--\(name.hasPrefix("property.") ? "property" : name)" : "the script"
            throw Failure(.usage, "\(said) says something of a kind of store: say --kind, too")
        }
        guard let kind else { return [:] }
        guard SinkKinds.named(kind) != nil else {
            throw Failure(
                .usage,
                "--kind: expected \(SinkKinds.all.map { $0.name }.joined(separator: ", ")), got \(FieldError.quote(kind))"
                    + (kind == "kafka" ? ": this build is without Kafka" : "")
            )
        }
        return settings
    }

    private static func text(of path: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Failure(.noInput, "there is no script \(FieldError.quote(path)) that can be read")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw Failure(.badConfiguration, "the script \(FieldError.quote(path)) is not UTF-8")
        }
        return text
    }
}

/// `onewrite group sql`.
struct GroupSQLCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql",
        abstract: "Print what a group of kind postgres needs in its database: the table of positions, and the grants.",
        discussion: """
            Example:
              onewrite group sql --role worker --function points.apply | psql "$URL"

            It asks no server, and changes nothing: whoever owns the database reads it, and runs it.
            """)

    @Option(help: ArgumentHelp("The role that the group's workers are there.", valueName: "role"))
    var role: String?

    @Option(help: ArgumentHelp("The function that is called, SCHEMA.NAME.", valueName: "function"))
    var function: String?

    @Option(help: ArgumentHelp("The schema of the table.", valueName: "schema"))
    var positions = PostgresKind.schema

    func validate() throws {
        guard LogConfiguration.isSchema(positions) else {
            throw ValidationError(
                "--positions: expected 1 to 63 of A-Z a-z 0-9 . _ -, got \(FieldError.quote(positions))")
        }
    }

    func run() async throws {
        Console.write(PositionsTable(schema: positions).creation(role: role, function: function), to: STDOUT_FILENO)
    }
}
