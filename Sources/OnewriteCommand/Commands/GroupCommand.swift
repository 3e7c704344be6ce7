import ArgumentParser
import Connections
import Foundation
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import SinkKinds
import Sinks
import ThreadedIO

/// `onewrite group`.
struct GroupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group",
        abstract: "Show the consumer groups, or add one: for a store without code, or for a sink of one's own.",
        discussion: """
            Examples:
              onewrite group list
              onewrite group add pages --kind redis-script pages.lua

            A group with a kind needs no code: onewrite worker serves it. A sink of one's own is code: an application brings it, \
            and serves its group with the library's Worker. What is recorded here, with the log, is that the group exists, where \
            it leads and where it begins, so that all workers, and whoever trims, agree.
            """,
        subcommands: [
            GroupListCommand.self, GroupAddCommand.self, GroupChangeCommand.self, GroupRemoveCommand.self,
            GroupSQLCommand.self,
        ],
        defaultSubcommand: GroupListCommand.self)
}

/// A group, as `group list --json` shows it.
private struct GroupLine: Encodable {
    let schema = "onewrite/group/v1"
    let group: String
    let kind: String
    let from: String
    let guarantee: String
    let settings: [String: String]
    /// Over all partitions; 0 for a group that begins at the start.
    let skipped: Int64

    init(_ group: Group, _ definition: GroupDefinition) {
        self.group = group.name
        kind = definition.kind
        from = definition.from.rawValue
        guarantee = SinkKinds.guarantee(of: definition, in: group)
        settings = definition.settings.filter { $0.key != "script" }
        skipped = definition.began.values.reduce(0) { $0 + $1.seq }
    }

    var text: String {
        "\(group.padding(toLength: max(16, group.count), withPad: " ", startingAt: 0))  "
            + "\(kind.padding(toLength: max(12, kind.count), withPad: " ", startingAt: 0))  from \(from)  \(guarantee)"
    }
}

/// `onewrite group list`.
struct GroupListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the groups: their kind, where they began, and what is promised.",
        discussion: """
            Example:
              onewrite group list
            """)

    @Flag(help: "Print a JSON object a line.")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let servers = try Servers(try common.settings(), name: "onewrite-group")
        let lines = try await CommandLane().run { _ in
            var patience = Patience()
            return try patience.attempt {
                let redis = try servers.redis()
                _ = try servers.identity(redis)
                return try redis.groupDefinitions(servers.keys).map { GroupLine($0.group, $0.definition) }
            }
        }
        for line in lines {
            if json { try Console.printJSON(line) } else { Console.print(line.text) }
        }
    }
}

/// `onewrite group remove`.
struct GroupRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forget a group; its store keeps what it has.",
        discussion: """
            Example:
              onewrite group remove search --yes

            Without --yes it only says what would be done. Its dead letters stay. With a group of kind redis-script goes what its \
            script has written; another database keeps its position, and a group of the same name goes on from there. Workers \
            of a kind notice. A worker of a sink of one's own records the group again when it is started again: stop it first.
            """)

    @Argument(help: "The group's name.")
    var group: Group

    @Flag(help: "Do it.")
    var yes = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if Group.builtIn.contains(group) { throw ValidationError("\(group) is built in, and can't be removed") }
    }

    func run() async throws {
        let settings = try common.settings()
        let servers = try Servers(settings, name: "onewrite-group")
        try settings.sayWhere()
        let wasThere = try await CommandLane().run { [group, yes] _ in
            var patience = Patience()
            return try patience.attempt {
                let redis = try servers.master()
                let partitioning = try servers.identity(redis).partitioning
                guard try redis.groups(servers.keys).contains(group) else { return false }
                if yes { _ = try redis.remove(group, servers.keys, partitioning) }
                return true
            }
        }
        guard wasThere else { throw Failure(.no, "there is no group \(group)") }
        Console.print(yes ? "group \(group) is removed" : "group \(group) would be removed. To do it: --yes")
    }
}
