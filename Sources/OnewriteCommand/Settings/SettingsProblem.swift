import Foundation

/// Something in the configuration file or in the environment that is no setting, mistyped perhaps.
///
/// A setting that is passed over in silence leaves its default in force: another namespace, another server.
struct SettingsProblem: Error, Sendable, Equatable, Encodable {
    /// The name as it was written; nil when it is the file as a whole.
    let name: String?
    /// `file onewrite.json:3`, or `environment`.
    let source: String
    /// What is wrong and what to do, in one line, with name and source.
    let message: String
    /// Whether commands end with it; otherwise they warn.
    let isRefused: Bool

    init(name: String, source: String, _ message: String, isRefused: Bool) {
        self.name = name
        self.source = source
        self.message = message
        self.isRefused = isRefused
    }

    /// - Parameters:
    ///   - path: The configuration file.
    ///   - message: What is wrong with it.
    init(file path: String, _ message: String) {
        name = nil
        source = "file \(path)"
        self.message = "configuration file \(path): \(message)"
        isRefused = true
    }

    private enum CodingKeys: String, CodingKey {
        case name, source, message
        case isRefused = "refused"
    }

    /// By hand, so that no name is null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(source, forKey: .source)
        try container.encode(message, forKey: .message)
        try container.encode(isRefused, forKey: .isRefused)
    }
}

/// The names in a configuration file.
enum ConfigurationFile {
    /// Reads a file, once: it may be a pipe.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - isOptional: Whether it may be missing.
    /// - Returns: The settings by their keys, and all that is wrong but for their own values, in the order of the names.
    static func read(_ path: String, isOptional: Bool) -> (values: [String: String], problems: [SettingsProblem]) {
        do {
            return read(try Data(contentsOf: URL(filePath: path)), of: path)
        } catch CocoaError.fileReadNoSuchFile {
            return isOptional ? ([:], []) : ([:], [SettingsProblem(file: path, "there is no such file")])
        } catch {
            return ([:], [SettingsProblem(file: path, "it can't be read")])
        }
    }

    /// The same of what a file holds.
    static func read(_ data: Data, of path: String) -> (values: [String: String], problems: [SettingsProblem]) {
        guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            return ([:], [SettingsProblem(file: path, "it is not a JSON object")])
        }
        let text = String(decoding: data, as: UTF8.self)
        var (values, problems): ([String: String], [SettingsProblem]) = ([:], [])
        for leaf in leaves(of: object) {
            if let problem = problem(leaf.path, leaf.value, in: text, of: path) {
                problems.append(problem)
            } else {
                values[leaf.path.joined(separator: ".")] = "\(leaf.value)"
            }
        }
        return (values, problems)
    }

    private static func leaves(of object: [String: Any], under path: [String] = []) -> [(path: [String], value: Any)] {
        object.sorted { $0.key < $1.key }.flatMap { key, value in
            if let inner = value as? [String: Any] { return leaves(of: inner, under: path + [key]) }
            return [(path + [key], value)]
        }
    }

    private static func problem(
        _ path: [String], _ value: Any, in text: String, of file: String
    ) -> SettingsProblem? {
        let name = path.joined(separator: ".")
        let place = line(of: path, in: text).map { "\(file):\($0)" } ?? file
        func refused(_ message: String) -> SettingsProblem {
            SettingsProblem(name: name, source: "file \(place)", "\(place): \(message)", isRefused: true)
        }
        guard let setting = Setting.all.first(where: { $0.key == name }) else {
            let meant = Spelling.meant(by: name, among: Setting.all.map(\.key))
            let advice = meant.map { "Did you mean \($0)?" } ?? "See: onewrite config"
            return refused("there is no setting \(name.debugDescription). \(advice)")
        }
        let nested = setting.key.split(separator: ".").map(String.init)
        guard path == nested else {
            let written = nested.reversed().reduce("…") { "{\"\($1)\":\($0)}" }
            return refused("\(name.debugDescription) is not nested. Write it as \(written)")
        }
        // As NSNumber a truth value is a number too.
        guard value is String || value is Int && !(value is Bool) else {
            return refused("\(name): expected a text or a whole number")
        }
        return nil
    }

    /// The line, from 1, on which a name stands: a person's help to find it, no more.
    private static func line(of path: [String], in text: String) -> Int? {
        var rest = text[...]
        for name in path {
            guard let found = rest.firstRange(of: "\"\(name)\"") else { return nil }
            rest = rest[found.upperBound...]
        }
        return text[..<rest.startIndex].count { $0.isNewline } + 1
    }
}

/// The names in the environment that begin as settings do.
enum EnvironmentNames {
    private static let prefix = "ONEWRITE_"
    /// A name that differs in so many letters from a setting's was meant for it.
    private static let refusedDistance = 2

    /// What is no setting, but looks like one.
    ///
    /// Other names that begin with `ONEWRITE_` are other programs': Kubernetes sets `ONEWRITE_SERVICE_HOST` and
    /// `ONEWRITE_REDIS_PORT_6379_TCP` where services have such names, and tests have some of their own.
    static func problems(in names: some Sequence<String>) -> [SettingsProblem] {
        let known = Setting.all.flatMap(\.variables).filter { $0.hasPrefix(prefix) } + ["ONEWRITE_CONFIG"]
        return names.filter { $0.hasPrefix(prefix) && !known.contains($0) && !isServiceLink($0) }.sorted().compactMap {
            problem($0, known)
        }
    }

    private static func problem(_ name: String, _ known: [String]) -> SettingsProblem? {
        if let meant = Spelling.nearest(name, among: known, within: refusedDistance) {
            return SettingsProblem(
                name: name, source: "environment", "there is no setting \(name). Did you mean \(meant)?",
                isRefused: true)
        }
        let family = name.split(separator: "_").prefix(2).joined(separator: "_")
        let nearest =
            Spelling.meant(by: name, among: known)
            ?? Spelling.nearest(name, among: known.filter { $0.hasPrefix(family + "_") }, within: .max)
        return nearest.map {
            SettingsProblem(
                name: name, source: "environment",
                "\(name) in the environment is no setting, and is ignored; the nearest is \($0)", isRefused: false)
        }
    }

    private static func isServiceLink(_ name: String) -> Bool {
        name.hasSuffix("_PORT") || name.contains(/_SERVICE_(HOST|PORT)|_PORT_\d+_/)
    }
}
