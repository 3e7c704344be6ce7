import Connections
import OrderLog
import RedisClient
import RedisLog
import ThreadedIO

/// Asks Redis whether the appends that one connection carried are as durable as wanted.
///
/// The question travels behind the appends, one for all of them. It says nothing about appends of an earlier connection:
/// those are sent again first, and found in the log.
///
/// Redis: <https://redis.io/docs/latest/commands/wait/>, <https://redis.io/docs/latest/commands/waitaof/>
struct RedisConfirmation {
    enum Answer {
        case reached
        /// Not yet, and what is missing.
        case short(String)
        /// The server may have changed its role or its history since the appends: nobody can tell any more.
        case uncertain(String)
    }

    private enum Question {
        case replicas(Int)
        case waitAOF
        /// For a server without WAITAOF: it syncs before each answer, unless somebody changes its settings.
        case settings
    }

    /// What has to be so that a server syncs before it answers.
    private static let settings = [
        "appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no",
    ]
    /// The longest that one question blocks the connection; it is asked again then.
    private static let patienceMilliseconds: Int64 = 1000

    private let connection: RedisConnection
    private let question: Question
    /// The servers' replication IDs before the first append, and for each a key that is there.
    ///
    /// A master that became a replica, and a master again, has another: its data may have been replaced meanwhile, and
    /// the offsets that WAIT compares would belong to two histories.
    private let servers: [(replid: String, key: String)]
    /// The connection's ``RedisConnection/generation`` of then.
    private let generation: Int

    /// Finds out whether the server can tell.
    ///
    /// - Parameters:
    ///   - durability: What is wanted.
    ///   - connection: Carries the appends later; it has carried none yet.
    ///   - keys: A key of each partition.
    ///   - deadline: When to give up.
    /// - Returns: What asks; nil for a level that isn't Redis's to tell.
    /// - Throws: ``LogError`` when the server can't give the level; `RedisError`.
    static func of(
        _ durability: Durability, on connection: RedisConnection, keys: [String], until deadline: Deadline
    ) throws -> RedisConfirmation? {
        let question: Question
        switch durability {
        case .server, .applied: return nil
        case .replicas(let count): question = .replicas(count)
        case .fsync: question = try syncQuestion(connection, until: deadline)
        }
        let keys = connection.isCluster ? keys : Array(keys.prefix(1))
        var generation: Int
        var infos: [RedisReply]
        repeat {
            // Again where asking made a session, as the first time does, or slots moved meanwhile: whoever has a slot
            // when this ends was asked.
            generation = connection.generation
            infos = try connection.pipeline(
                keys.map { RedisCommand("INFO", "replication").beside($0) }, until: deadline)
        } while generation != connection.generation
        let servers = Dictionary(try zip(infos, keys).map { (try $0.infoField("master_replid"), $1) }) { first, _ in
            first
        }
        return RedisConfirmation(
            connection: connection, question: question, servers: servers.map { ($0.key, $0.value) },
            generation: generation)
    }

    private static func syncQuestion(_ connection: RedisConnection, until deadline: Deadline) throws -> Question {
        let probes = try connection.pipeline([RedisCommand("WAITAOF", 1, 0, 1), settingsCommand], until: deadline)
        // Redis before 7.2 doesn't know the command. A replica refuses it: the log is closed there, which is waited for.
        guard let refusal = probes[0].error, refusal.message.hasPrefix("unknown command") else {
            if probes[0].error?.message.contains("appendonly is disabled") == true {
                throw LogError(
                    .badConfiguration,
                    "--durability fsync: Redis \(connection.address) keeps no append-only file. Set its appendonly to yes, "
                        + "or choose replicas=N or applied")
            }
            if let error = probes[0].error, error.code == "NOPERM" { throw RedisError.reply(error) }
            return .waitAOF
        }
        if probes[1].error != nil {
            throw LogError(
                .badConfiguration,
                "--durability fsync: \(withoutWAITAOF(connection)), and its settings may not be read, so nobody can tell. "
                    + "Permit CONFIG GET (onewrite grants redis --role submit --settings), or choose replicas=N or applied"
            )
        }
        if let wrong = try wrongSetting(in: probes[1]) {
            throw LogError(
                .badConfiguration,
                "--durability fsync: \(withoutWAITAOF(connection)), so it must sync before each answer, but its "
                    + "\(wrong). Set appendonly yes, appendfsync always, no-appendfsync-on-rewrite no; or choose "
                    + "replicas=N or applied")
        }
        return .settings
    }

    private static func withoutWAITAOF(_ connection: RedisConnection) -> String {
        "Redis \(connection.address) is version \(connection.serverVersion), which can't be asked (WAITAOF needs 7.2)"
    }

    private static var settingsCommand: RedisCommand {
        var command = RedisCommand("CONFIG", "GET")
        command.append(contentsOf: settings.keys)
        return command
    }

    private static func wrongSetting(in reply: RedisReply) throws(RedisError) -> String? {
        for (name, wanted) in settings.sorted(by: { $0.key < $1.key }) {
            let value = try reply.field(name)?.string
            if value != wanted { return "\(name) is \(value ?? "unknown")" }
        }
        return nil
    }

    // MARK: - Asking

    /// Queues the question behind what the connection has carried so far.
    ///
    /// - Parameter limit: How long it may take; it is asked again when there is more time.
    func send(for limit: Duration) {
        // Never 0: that would wait for ever.
        let milliseconds = min(Self.patienceMilliseconds, max(1, Int64(limit / .milliseconds(1))))
        let command =
            switch question {
            case .replicas(let count): RedisCommand("WAIT", count, milliseconds)
            case .waitAOF: RedisCommand("WAITAOF", 1, 0, milliseconds)
            case .settings: Self.settingsCommand
            }
        for (_, key) in servers {
            connection.send(command.beside(key))
            connection.send(RedisCommand("INFO", "replication").beside(key))
        }
    }

    /// Waits for the answer, which is the next on the connection.
    func receive(until deadline: Deadline) throws(RedisError) -> Answer {
        var worst = Answer.reached
        for (replid, _) in servers {
            switch try receive(from: replid, until: deadline) {
            case .reached: continue
            case .short(let what): if case .reached = worst { worst = .short(what) }
            case .uncertain(let why): worst = .uncertain(why)
            }
        }
        // An append may have gone where nobody was asked.
        guard connection.generation == generation else { return .uncertain("the cluster's slots moved meanwhile") }
        return worst
    }

    private func receive(from replid: String, until deadline: Deadline) throws(RedisError) -> Answer {
        let reply = try connection.receive(until: deadline)
        let server = try connection.receive(until: deadline)
        for error in [reply.error, server.error].compactMap({ $0 }) {
            // A replica by now, or one while it was asked.
            guard error.code == "ERR" || error.isRetriable else { throw .reply(error) }
            return .uncertain("Redis \(connection.address) answered with: \(error)")
        }
        guard try server.infoField("master_replid") == replid, try server.infoField("role") == "master" else {
            return .uncertain("Redis \(connection.address) changed its role or history meanwhile")
        }
        switch question {
        case .replicas(let wanted):
            let count = try reply.requireInteger()
            return count >= wanted
                ? .reached : .short("\(count) of \(wanted) replica\(wanted == 1 ? "" : "s") acknowledged it")
        case .waitAOF:
            return try reply.requireArray(count: 2)[0].requireInteger() >= 1
                ? .reached : .short("Redis has not synced it to its disk yet")
        case .settings:
            guard let wrong = try Self.wrongSetting(in: reply) else { return .reached }
            return .uncertain("on Redis \(connection.address), \(wrong) by now")
        }
    }
}
