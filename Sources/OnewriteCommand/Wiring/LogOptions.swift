import ArgumentParser
import Foundation
import Logging
import Reports

/// How long-running commands say what happens.
struct LogOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, json
    }

    @Option(help: "How standard error says what happens: text for people, or json, an object a line.")
    var logFormat = Format.text

    /// A logger of this name.
    func logger(_ name: String) -> Logger {
        let format = logFormat
        var logger = Logger(label: name) { name -> any LogHandler in
            switch format {
            case .text: PersonLogHandler(name: name)
            case .json: JSONLogHandler(name: name)
            }
        }
        logger.logLevel = .info
        return logger
    }
}

/// Writes what happens for machines, a JSON object a line, to standard error: `at`, `level`, `name`, `message`.
struct JSONLogHandler: LogHandler {
    private struct Line: Encodable {
        let at: String
        let level: String
        let name: String
        let message: String
        let metadata: [String: String]?
    }

    let name: String
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }.mapValues { "\($0)" }
        let line = Line(
            at: Snapshot.timestamp(Date()), level: "\(event.level)", name: name, message: "\(event.message)",
            metadata: all.isEmpty ? nil : all)
        // Texts can always be encoded.
        if let text = try? JSONText.line(of: line) { Console.error(text) }
    }
}
