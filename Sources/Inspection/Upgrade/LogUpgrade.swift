package import Connections
import Coordination
import Faults
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
import ThreadedIO

/// Brings a log to the newest format that this program knows: forwards only, a migration after the other.
///
/// Each is done in Postgres first, in one transaction, then in Redis, in one script. Whoever is killed in between leaves Redis one
/// behind, and the next goes on there; two at once do no more than one. Stays on its lane.
package struct LogUpgrade {
    private let redis: RedisConnection
    private let postgres: PostgresConnection
    private let keys: Keys
    private let schema: String
    /// Older ones than those it serves, too.
    private let formats = LogFormat.supported.lowerBound...LogFormat.known.upperBound

    /// Connects.
    ///
    /// - Parameter servers: Where the log is.
    /// - Throws: ``LogError`` and the servers' errors.
    package init(_ servers: Servers) throws {
        redis = try servers.master()
        postgres = try servers.primary()
        keys = servers.keys
        schema = servers.configuration.postgres?.schema ?? keys.namespace
    }

    /// Says what is to be done; changes nothing.
    ///
    /// - Returns: The plan; without steps when the log is of the newest format.
    /// - Throws: ``LogError`` when there is no log, or two; `StoreError` for a format that this program doesn't know; the
    ///   servers' errors.
    package func plan() throws -> UpgradePlan {
        let (inRedis, inPostgres) = try identities()
        let newest = formats.upperBound
        let steps = Migration.all.filter { $0.format <= newest && $0.format > min(inRedis.format, inPostgres.format) }
        return UpgradePlan(
            log: inRedis.log, redis: inRedis.format, postgres: inPostgres.format, newest: newest,
            steps: steps.map { step in
                UpgradePlan.Step(
                    format: step.format.number, title: step.title,
                    postgres: step.format > inPostgres.format ? step.postgresPlan : nil,
                    redis: step.format > inRedis.format ? step.redisPlan : nil)
            },
            workers: try workers(newest))
    }

    /// Does it, unless something is in the way.
    ///
    /// - Returns: The plan, with the workers that are there behind it if it was done.
    /// - Throws: What ``plan()`` throws.
    package func run() throws -> UpgradePlan {
        var plan = try plan()
        guard !plan.steps.isEmpty, plan.obstacles.isEmpty else { return plan }
        for migration in Migration.all where plan.steps.contains(where: { $0.format == migration.format.number }) {
            let before = try identities()
            if before.postgres.format < migration.format {
                try PostgresSchema.apply(migration, to: schema, on: postgres)
            }
            try Faults.pass(.afterMigration)
            if before.redis.format < migration.format {
                _ = try redis.upgrade(to: migration.format, before.redis, keys)
            }
            // Whoever else does the same at this moment has changed no less.
            let now = try identities()
            guard min(now.redis.format, now.postgres.format) >= migration.format else {
                throw LogError(.tryAgain, "somebody else changed the log's record meanwhile. Run it again")
            }
        }
        // What it lets producers in other languages write; who may not load it, is told by `doctor` that it is another.
        _ = try FunctionLibrary.ensure(on: redis, for: plan.newest)
        plan.isDone = true
        plan.workers = try workers(plan.newest)
        return plan
    }

    private func identities() throws -> (redis: LogIdentity, postgres: LogIdentity) {
        guard let inRedis = try redis.identity(keys, in: formats) else {
            throw LogError(
                .tryAgain, "there is no log at \(keys.namespace) on Redis \(redis.address). Run: onewrite init")
        }
        guard let inPostgres = try PostgresSchema.identity(on: postgres, in: formats), inPostgres == inRedis else {
            throw LogError(
                .badConfiguration,
                "the schema in Postgres is missing, or of another log than Redis's. Check --namespace and --schema")
        }
        return (inRedis, inPostgres)
    }

    /// All workers that are there, of whatever group, in the order of groups and names.
    private func workers(_ newest: LogFormat) throws -> [UpgradePlan.Worker] {
        let groups = try redis.groups(keys)
        let rolls = try redis.pipeline(
            groups.map { Workforce.Roll.question($0, keys) }, until: .after(SnapshotReader.timeout))
        var questions = Questions()
        let calls = zip(groups, rolls).map { Workforce.Call(Workforce.Roll($1), $0, keys, asking: &questions) }
        let replies = try redis.pipeline(questions.commands, until: .after(SnapshotReader.timeout))
        var workers: [UpgradePlan.Worker] = []
        for (group, call) in zip(groups, calls) {
            for worker in try call.answer(replies).present {
                let formats = worker.report.map { $0.formats ?? [LogFormat.supported.lowerBound.number] }
                workers.append(
                    UpgradePlan.Worker(
                        group: group.name, name: worker.name.text, formats: formats ?? [],
                        isReady: worker.report?.knows(newest) == true))
            }
        }
        return workers
    }
}
