import Foundation
package import OrderLog
package import RedisClient
import ThreadedIO

extension RedisConnection {
    /// The log's groups: the built-in ones first, then the others by name.
    package func groups(_ keys: Keys) throws(RedisError) -> [Group] { try groupDefinitions(keys).map(\.group) }

    /// The log's groups, each with its definition: the built-in ones first, then the others by name.
    ///
    /// - Parameter keys: The log's keys.
    /// - Returns: At least the built-in ones, also of a log that was created before groups were recorded.
    /// - Throws: ``RedisError``.
    package func groupDefinitions(
        _ keys: Keys
    ) throws(RedisError) -> [(group: Group, definition: GroupDefinition)] {
        let reply = try call(RedisCommand("HGETALL", keys.groups), until: .after(StreamLog.timeout))
        if let error = reply.error { throw .reply(error) }
        var own: [(group: Group, definition: GroupDefinition)] = []
        var delivery = GroupDefinition(kind: Group.delivery.name, from: .start)
        for index in stride(from: 0, to: reply.count - 1, by: 2) {
            guard let group = reply[index].string.flatMap({ Group($0) }),
                group == .delivery || !Group.builtIn.contains(group)
            else { continue }
            let json = Data((reply[index + 1].string ?? "").utf8)
            do {
                let definition = try JSONDecoder().decode(GroupDefinition.self, from: json)
                if group == .delivery { delivery = definition } else { own.append((group, definition)) }
            } catch {
                throw .protocolViolation("the definition of group \(group) at \(keys.groups)")
            }
        }
        return Group.builtIn.map { ($0, $0 == .delivery ? delivery : GroupDefinition(kind: $0.name, from: .start)) }
            + own.sorted { $0.group < $1.group }
    }

    /// Records a group, unless it is recorded already.
    ///
    /// - Parameters:
    ///   - group: Which.
    ///   - start: Where it begins.
    ///   - kind: What its sink is.
    ///   - settings: What the kind is told.
    ///   - keys: The log's keys.
    ///   - partitioning: The log's.
    /// - Returns: The definition that is recorded now, and whether it is new.
    /// - Throws: ``RedisError``.
    package func add(
        _ group: Group, from start: GroupDefinition.Start, kind: String = GroupDefinition.own,
        settings: [String: String] = [:], _ keys: Keys, _ partitioning: Partitioning
    ) throws(RedisError) -> (definition: GroupDefinition, isNew: Bool) {
        var began: [String: GroupDefinition.Beginning] = [:]
        if start == .now {
            for partition in partitioning.all {
                guard let head = try look(at: partition, keys).head else { continue }
                let last = try call(
                    RedisCommand("XREVRANGE", keys.log(partition), "+", "-", "COUNT", 1),
                    until: .after(StreamLog.timeout)
                ).entries().first
                began[partition.description] = GroupDefinition.Beginning(
                    seq: head.place.seq.number,
                    entry: last.flatMap { $0.place?.seq == head.place.seq ? $0.id.description : nil } ?? "")
            }
        }
        let definition = GroupDefinition(kind: kind, from: start, began: began, settings: settings)
        let isNew = try record(group, definition, keys)
        let known = try groupDefinitions(keys).first { $0.group == group }?.definition
        return (known ?? definition, isNew)
    }

    /// Records the built-in groups, for others' tools: this one needs no record of them.
    package func recordBuiltInGroups(_ keys: Keys) throws(RedisError) {
        for group in Group.builtIn {
            _ = try record(group, GroupDefinition(kind: group.name, from: .start), keys)
        }
    }

    /// Whether it was not recorded before.
    private func record(_ group: Group, _ definition: GroupDefinition, _ keys: Keys) throws(RedisError) -> Bool {
        try call(
            RedisCommand("HSETNX", keys.groups, group.name, try Self.json(definition)), until: .after(StreamLog.timeout)
        ).requireInteger() == 1
    }

    /// Forgets a group: its definition, its consumer groups, and what Redis shows of its positions.
    ///
    /// Dead letters stay. What a script of the user's has written goes with its position, which is what it counted from.
    ///
    /// - Parameters:
    ///   - group: Which.
    ///   - keys: The log's keys.
    ///   - partitioning: The log's.
    /// - Returns: Whether it was recorded.
    /// - Throws: ``RedisError``.
    package func remove(_ group: Group, _ keys: Keys, _ partitioning: Partitioning) throws(RedisError) -> Bool {
        let wasThere =
            try call(RedisCommand("HDEL", keys.groups, group.name), until: .after(StreamLog.timeout)).requireInteger()
            == 1
        for partition in partitioning.all {
            let replies = try pipeline(
                [
                    RedisCommand("XGROUP", "DESTROY", keys.log(partition), group.name),
                    RedisCommand("DEL", keys.position(partition, group)),
                ], until: .after(StreamLog.timeout))
            for reply in replies { if let error = reply.error { throw .reply(error) } }
        }
        try removeOwnKeys(of: group, keys)
        return wasThere
    }

    /// Removes what a script of the user's has written.
    private func removeOwnKeys(of group: Group, _ keys: Keys) throws(RedisError) {
        try forEachKey(like: keys.ownPattern(group)) { found throws(RedisError) in
            let commands = found.compactMap(\.string).map { RedisCommand("UNLINK", $0) }
            for reply in try pipeline(commands, until: .after(StreamLog.timeout)) { _ = try reply.requireInteger() }
        }
    }

    /// Puts a definition in the place of the one that is recorded.
    ///
    /// - Parameters:
    ///   - group: Whose; it is recorded.
    ///   - definition: What is to hold from now on.
    ///   - keys: The log's keys.
    /// - Throws: ``RedisError``.
    package func change(_ group: Group, to definition: GroupDefinition, _ keys: Keys) throws(RedisError) {
        _ = try call(
            RedisCommand("HSET", keys.groups, group.name, try Self.json(definition)), until: .after(StreamLog.timeout)
        ).requireInteger()
    }

    private static func json(_ definition: GroupDefinition) throws(RedisError) -> String {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            return String(decoding: try encoder.encode(definition), as: UTF8.self)
        } catch {
            throw .protocolViolation("a definition that is JSON")
        }
    }
}
