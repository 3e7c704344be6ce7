import ArgumentParser
import Dashboard
import Foundation
import Reports

/// `onewrite config`.
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Each setting: its value, where it comes from, what it is.",
        discussion: """
            Example:
              onewrite config --json | jq '.settings[] | {key, value, source}'

            Every setting is looked at, and one that can't be used is marked with ! and the reason; so is a name in the \
            configuration file, or one in the environment that is a setting's but for a letter or two. Ends with 78 then.

            Flags win over ONEWRITE_… in the environment, those over REDIS_URL and DATABASE_URL, those over the configuration \
            file; REDIS_URL_FILE and DATABASE_URL_FILE name files that hold an address. Passwords are shown as ***, and an address that makes no sense is not shown at all.
            """)

    @Flag(help: "One JSON object (onewrite/config/v1).")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let settings = common.read()
        let shown = Setting.all.map { ShownSetting($0, in: settings) }
        if json {
            try Console.printJSON(ShownSettings(settings: shown, problems: settings.problems))
        } else {
            print(shown)
        }
        for problem in settings.problems {
            Console.error("\(problem.isRefused ? "error" : "warning"): \(sanitized(problem.message))")
        }
        let invalid = shown.count { $0.error != nil }
        if invalid > 0 {
            throw Failure(
                .badConfiguration, invalid == 1 ? "1 setting can't be used" : "\(invalid) settings can't be used")
        }
        if settings.problems.contains(where: \.isRefused) { throw Failure(.badConfiguration, "") }
    }

    private func print(_ shown: [ShownSetting]) {
        let keyWidth = shown.map(\.key.count).max() ?? 0
        let values = shown.map { $0.value.map { sanitized($0.isEmpty ? "\"\"" : $0) } ?? "–" }
        let valueWidth = min(48, values.map(\.count).max() ?? 0)
        for (setting, value) in zip(shown, values) {
            let key = setting.key.padding(toLength: keyWidth, withPad: " ", startingAt: 0)
            let padding = String(repeating: " ", count: max(0, valueWidth - value.count))
            Console.print("\(key)  \(value)\(padding)  \(sanitized(setting.source))")
            let indent = String(repeating: " ", count: keyWidth) + "  "
            if let error = setting.error { Console.print("\(indent)! \(sanitized(error))") }
            Console.print("\(indent)\(setting.about)")
        }
    }
}

/// A setting as it may be shown to anybody.
private struct ShownSetting: Encodable {
    let key: String
    /// Without secrets; nil when it is not set.
    let value: String?
    let source: String
    /// Why the value can't be used; nil when it can.
    let error: String?
    let about: String
    let variables: [String]

    init(_ setting: Setting, in settings: Settings) {
        let value = settings.value(setting)
        key = setting.key
        self.value = value.map { Self.redacted(setting, $0.text) }
        source = value?.source ?? "not set"
        about = setting.about
        variables = setting.variables
        error = settings.objection(to: setting)
    }

    private static func redacted(_ setting: Setting, _ text: String) -> String {
        if text.isEmpty { return text }
        return switch setting.key {
        case Setting.redisURL.key: RedactedURL(redis: text).text
        case Setting.databaseURL.key: RedactedURL(postgres: text).text
        default: setting.isSecret ? "***" : text
        }
    }

    private enum CodingKeys: String, CodingKey { case key, value, source, error, about, variables }

    /// By hand, so that a value which isn't set is null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(key, forKey: .key)
        try container.encode(value, forKey: .value)
        try container.encode(source, forKey: .source)
        try container.encode(error, forKey: .error)
        try container.encode(about, forKey: .about)
        try container.encode(variables, forKey: .variables)
    }
}

/// The contract `onewrite/config/v1`.
private struct ShownSettings: Encodable {
    let schema = "onewrite/config/v1"
    let settings: [ShownSetting]
    /// Names that no setting has, and a file that can't be read.
    let problems: [SettingsProblem]
}
