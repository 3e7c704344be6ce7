import Configuration
import Connections
import Dashboard
import Foundation
import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Reports
import ThreadedIO

/// A thing that can be set: by flag, environment, configuration file, or left at its default.
struct Setting: Sendable {
    let key: String
    /// What the environment calls it beside `ONEWRITE_…`; nil where there is no other name.
    var plainVariable: String?
    var fallback: String?
    var isSecret = false
    let about: String
    /// Throws when the value that was set can't be used.
    let check: @Sendable (Settings) throws -> Void

    /// `redis.url` is `ONEWRITE_REDIS_URL`.
    var variable: String { "ONEWRITE_" + key.uppercased().replacing(".", with: "_") }

    /// All names that it has in the environment, the first wins; a secret's with `_FILE` behind it name a file that holds it.
    var variables: [String] {
        ([variable] + (plainVariable.map { [$0] } ?? [])).flatMap { isSecret ? [$0, $0 + "_FILE"] : [$0] }
    }

    static let redisURL = Setting(
        key: "redis.url", plainVariable: "REDIS_URL", fallback: "redis://127.0.0.1:6379/0", isSecret: true,
        about: "where Redis is: redis://[user:password@]host:port/db, unix:///path?db=0, or "
            + "redis+sentinel://[user:password@]host:port,host:port/master/db, or redis+cluster://[user:password@]host:port,…; with TLS "
            + "rediss://… and the like"
    ) { _ = try $0.redis(clientName: "") }
    static let databaseURL = Setting(
        key: "database.url", plainVariable: "DATABASE_URL", isSecret: true,
        about: "where Postgres is: postgres://…; without it libpq's own PGHOST, PGSERVICE, PGPASSFILE … count"
    ) { _ = try $0.postgres(applicationName: "") }
    static let redisPasswordFile = Setting(
        key: "redis.password.file", plainVariable: "REDIS_PASSWORD_FILE",
        about: "a file with the password of redis.url's user, in a line; it is read at each connection"
    ) { _ = try $0.redis(clientName: "") }
    static let databasePasswordFile = Setting(
        key: "database.password.file", plainVariable: "DATABASE_PASSWORD_FILE",
        about: "a file with the password of database.url's user, in a line; it is read at each connection"
    ) { _ = try $0.postgres(applicationName: "") }
    static let namespace = Setting(
        key: "namespace", fallback: "onewrite", about: "what the keys in Redis begin with"
    ) { _ = try $0.keys() }
    static let schema = Setting(
        key: "schema", fallback: "onewrite", about: "the schema in Postgres"
    ) { _ = try $0.schema() }
    static let partitions = Setting(
        key: "partitions", fallback: "8", about: "partitions of a new log, 1 to 1024; fixed for ever by init"
    ) { _ = try $0.partitioning() }
    static let lease = Setting(
        key: "lease", fallback: "10s", about: "how long a worker's lease lasts, 1s to 10m"
    ) { _ = try $0.lease() }
    static let window = Setting(
        key: "window", fallback: "24h", about: "how long a change ID is remembered, 1m to 30d: the idempotency window"
    ) { _ = try $0.window() }
    static let trim = Setting(
        key: "trim",
        about:
            "how long what every group has applied stays in the log, 1s to 3650d: a worker of group postgres drops what "
            + "is older by itself; without it nothing is dropped but by onewrite trim"
    ) { _ = try $0.trim() }
    static let timeout = Setting(
        key: "timeout", fallback: "30s", about: "how long submit tries again, from the start on, before it gives up"
    ) { _ = try $0.timeout() }
    static let durability = Setting(
        key: "durability", fallback: "server",
        about: "what makes a submitted change accepted: server, fsync, replicas=N or applied"
    ) { _ = try $0.durability() }
    static let environmentLabel = Setting(
        key: "environment.label", plainVariable: "ONEWRITE_ENVIRONMENT",
        about: "what the dashboard, status and plans call these stores, such as production; 1 to 32 characters"
    ) { _ = try $0.environmentLabel() }
    static let environmentColor = Setting(
        key: "environment.color",
        about: "the label's colour in the dashboard: "
            + Style.Color.allCases.map(\.name).sorted().joined(separator: ", ")
    ) { _ = try $0.environmentColor() }

    static let all = [
        redisURL, redisPasswordFile, databaseURL, databasePasswordFile, namespace, schema, partitions, lease, window,
        trim, timeout, durability,
        environmentLabel, environmentColor,
    ]
}

/// What was set, and where.
///
/// Flags win over `ONEWRITE_…`, those over `REDIS_URL` and `DATABASE_URL`, those over the file. A secret's names with
/// `_FILE` behind them stand behind the names themselves.
struct Settings: Sendable {
    /// A value and its source, in words.
    struct Value: Sendable {
        let text: String
        let source: String
    }

    private let values: [String: Value]
    /// What was set and is no setting.
    let problems: [SettingsProblem]

    /// Reads all sources.
    ///
    /// - Parameters:
    ///   - flags: Keys and values of the command line.
    ///   - file: A configuration file that was named; nil for `onewrite.json` here, if there is one.
    ///   - environment: The process's.
    init(flags: [String: String], file: String?, environment: [String: String]) {
        let named = file ?? environment["ONEWRITE_CONFIG"]
        let path = named ?? "onewrite.json"
        let file = ConfigurationFile.read(path, isOptional: named == nil)
        var problems = file.problems + EnvironmentNames.problems(in: environment.keys)
        let environmentReader = ConfigReader(provider: EnvironmentVariablesProvider(environmentVariables: environment))
        var values: [String: Value] = [:]
        for setting in Setting.all {
            if let text = flags[setting.key] {
                values[setting.key] = Value(text: text, source: "flag")
            } else if let text = environmentReader.string(forKey: ConfigKey("onewrite.\(setting.key)")) {
                values[setting.key] = Value(text: text, source: "environment \(setting.variable)")
            } else if let name = setting.variables.dropFirst().first(where: { environment[$0]?.isEmpty == false }) {
                values[setting.key] = Self.value(of: setting, from: name, in: environment, &problems)
            } else if let text = file.values[setting.key] {
                values[setting.key] = Value(text: text, source: "file \(path)")
            } else if setting.key == Setting.databaseURL.key,
                Self.libpqVariables.contains(where: environment.keys.contains)
            {
                values[setting.key] = Value(text: "", source: "libpq's environment")
            } else if let text = setting.fallback {
                values[setting.key] = Value(text: text, source: "default")
            }
        }
        self.values = values
        self.problems = problems
    }

    /// nil, with the reason among the problems, when a file that is named there is of no use.
    private static func value(
        of setting: Setting, from name: String, in environment: [String: String], _ problems: inout [SettingsProblem]
    ) -> Value? {
        let text = environment[name] ?? ""
        guard setting.isSecret, name.hasSuffix("_FILE") else { return Value(text: text, source: "environment \(name)") }
        do throws(SecretFile.Trouble) {
            return Value(text: try SecretFile.read(text), source: "file \(text) (\(name))")
        } catch {
            problems.append(
                SettingsProblem(
                    name: name, source: "environment", "\(name) in the environment: \(error)", isRefused: true))
            return nil
        }
    }

    /// Any of these says that Postgres is meant to be used.
    private static let libpqVariables = ["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT", "PGUSER"]

    func value(_ setting: Setting) -> Value? { values[setting.key] }

    /// Why a setting's value can't be used; nil when it can.
    func objection(to setting: Setting) -> String? {
        do {
            try setting.check(self)
            return nil
        } catch {
            return Failure(error)?.message ?? "\(error)"
        }
    }

    private func text(_ setting: Setting) -> String { values[setting.key]?.text ?? "" }

    // MARK: - Typed

    func redis(clientName: String) throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(
            url: text(.redisURL), passwordFile: values[Setting.redisPasswordFile.key]?.text)
        configuration.clientName = clientName
        return configuration
    }

    /// nil when no connection to Postgres is configured.
    func postgres(applicationName: String) throws -> PostgresConfiguration? {
        guard let value = values[Setting.databaseURL.key] else { return nil }
        var configuration = try PostgresConfiguration(url: value.text.isEmpty ? nil : value.text)
        configuration.applicationName = applicationName
        configuration.passwordFile = values[Setting.databasePasswordFile.key]?.text
        configuration.schema = text(.schema)
        return configuration
    }

    func keys() throws -> Keys {
        guard let keys = Keys(namespace: text(.namespace)) else {
            throw wrong(.namespace, "expected 1 to 64 of A-Z a-z 0-9 . _ : / -")
        }
        return keys
    }

    func schema() throws -> String {
        guard LogConfiguration.isSchema(text(.schema)) else {
            throw wrong(.schema, "expected 1 to 63 of A-Z a-z 0-9 . _ -")
        }
        return text(.schema)
    }

    func partitioning() throws -> Partitioning {
        guard let partitioning = Int(text(.partitions)).flatMap(Partitioning.init(count:)) else {
            throw wrong(.partitions, "expected a whole number from 1 to \(Limits.partitions.upperBound)")
        }
        return partitioning
    }

    func lease() throws -> Duration { try duration(.lease, .seconds(1)...(.seconds(600))) }
    func window() throws -> Duration { try duration(.window, .seconds(60)...(.seconds(30 * 86400))) }
    func timeout() throws -> Duration { try duration(.timeout, .milliseconds(100)...(.seconds(86400))) }

    /// nil when nothing is dropped by itself.
    func trim() throws -> Duration? {
        guard values[Setting.trim.key] != nil else { return nil }
        return try duration(.trim, .seconds(1)...(.seconds(3650 * 86400)))
    }

    func durability() throws -> Durability {
        guard let durability = Durability(text: text(.durability)) else {
            throw wrong(.durability, "expected server, fsync, replicas=N with N from 1 to 100, or applied")
        }
        return durability
    }

    func environmentLabel() throws -> String? {
        guard let label = values[Setting.environmentLabel.key]?.text else { return nil }
        let isBlank = label.first?.isWhitespace ?? true || label.last?.isWhitespace ?? true
        guard (1...32).contains(label.count), !isBlank, sanitized(label) == label else {
            throw wrong(.environmentLabel, "expected 1 to 32 characters, no blank at either end")
        }
        return label
    }

    func environmentColor() throws -> Style.Color? {
        guard let name = values[Setting.environmentColor.key]?.text else { return nil }
        guard let color = Style.Color.allCases.first(where: { $0.name == name }) else {
            throw wrong(
                .environmentColor, "expected " + Style.Color.allCases.map(\.name).sorted().joined(separator: ", "))
        }
        return color
    }

    /// Which stores these are.
    func environment() throws -> Snapshot.Environment {
        Snapshot.Environment(
            label: try environmentLabel(), color: try environmentColor(), redis: try redis(clientName: "").address,
            postgres: try postgres(applicationName: "")?.address, namespace: try keys().namespace,
            schema: try schema())
    }

    /// All that the libraries are told.
    func configuration() throws -> LogConfiguration {
        var configuration = LogConfiguration(
            redis: try redis(clientName: ""), postgres: try postgres(applicationName: ""), keys: try keys())
        _ = try schema()
        configuration.lease = try lease()
        configuration.window = try window()
        configuration.timeout = try timeout()
        configuration.trim = try trim()
        configuration.durability = try durability()
        return configuration
    }

    private func duration(_ setting: Setting, _ range: ClosedRange<Duration>) throws -> Duration {
        guard let duration = Duration(text: text(setting)), range.contains(duration) else {
            throw wrong(setting, "expected a duration like 250ms 5s 10m 2h 7d within its limits (\(setting.about))")
        }
        return duration
    }

    private func wrong(_ setting: Setting, _ expected: String) -> Failure {
        Failure(
            .badConfiguration,
            "\(setting.key) (from \(values[setting.key]?.source ?? "?")): \(expected), got \(FieldError.quote(text(setting)))"
        )
    }
}
