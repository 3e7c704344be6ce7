package import Connections
import Foundation
import Glibc
import OrderLog

/// Something that can be said of a kind.
package struct KindSetting: Hashable, Sendable {
    /// Its name, which is the option's, too.
    package let name: String
    package let isRequired: Bool
    /// Whether it is said by an option of its name.
    package let isOption: Bool

    package init(_ name: String, isRequired: Bool = false, isOption: Bool = true) {
        self.name = name
        self.isRequired = isRequired
        self.isOption = isOption
    }
}

/// What was said of a group's store, by name.
package struct KindSettings: Sendable {
    private static let property = "property."

    private let values: [String: String]

    /// Settings of a library's, by its own names.
    package var properties: [String: String] {
        Dictionary(
            uniqueKeysWithValues: values.filter { $0.key.hasPrefix(Self.property) }.map {
                (String($0.key.dropFirst(Self.property.count)), $0.value)
            })
    }

    /// Takes settings.
    ///
    /// - Parameters:
    ///   - values: What was said.
    ///   - kind: Of what kind of store.
    /// - Throws: ``LogError`` for one that isn't of that kind, or is missing.
    package init(_ values: [String: String], of kind: any SinkKind.Type) throws(LogError) {
        for name in values.keys.sorted() where !kind.settings.contains(where: { $0.name == name }) {
            if kind.takesProperties, name.hasPrefix(Self.property) { continue }
            throw LogError(.badConfiguration, "--\(name): not a setting of the kind \(kind.name)")
        }
        for setting in kind.settings where setting.isRequired && values[setting.name] == nil {
            let name = setting.isOption ? "--\(setting.name)" : "the script"
            throw LogError(.badConfiguration, "\(name) is missing: the kind \(kind.name) needs it")
        }
        self.values = values
    }

    /// A text as it was said.
    package subscript(_ name: String) -> String? { values[name] }

    /// One of a few words.
    package func choice(_ name: String, of words: [String], default word: String) throws(LogError) -> String {
        guard let value = values[name] else { return word }
        guard words.contains(value) else { throw wrong(name, "expected \(words.joined(separator: " or "))") }
        return value
    }

    /// A whole number.
    package func number(_ name: String, in range: ClosedRange<Int>, default number: Int) throws(LogError) -> Int {
        guard let value = values[name] else { return number }
        guard let number = Int(value), range.contains(number) else {
            throw wrong(name, "expected \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// The words of a list parted by commas, each checked.
    package func list(_ name: String, _ expected: String, where isRight: (Substring) -> Bool) throws(LogError)
        -> [String]
    {
        guard let value = values[name] else { return [] }
        let words = value.split(separator: ",", omittingEmptySubsequences: false)
        guard words.allSatisfy(isRight) else { throw wrong(name, "expected \(expected)") }
        return words.map(String.init)
    }

    /// What an environment variable holds whose name was said: secrets are not kept with the log.
    ///
    /// - Parameter name: The setting that names the variable.
    /// - Returns: Its value; nil when nothing was said.
    /// - Throws: ``LogError`` when it isn't set here, or is empty.
    package func environment(_ name: String) throws(LogError) -> String? {
        guard let variable = values[name] else { return nil }
        guard let value = getenv(variable).map({ String(cString: $0) }), !value.isEmpty else {
            throw LogError(
                .badConfiguration,
                "--\(name): the environment variable \(FieldError.quote(variable)) is not set here. The group's workers need it, "
                    + "and so does group add, which tries it")
        }
        return value
    }

    /// Refuses a value.
    package func wrong(_ name: String, _ expected: String) -> LogError {
        LogError(.badConfiguration, "--\(name): \(expected), got \(FieldError.quote(values[name] ?? ""))")
    }
}
