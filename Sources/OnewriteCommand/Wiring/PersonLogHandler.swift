import Foundation
import Logging

/// Writes what happens for people, a line each, to standard error: `14:02:01 stock-a  serving stock`.
struct PersonLogHandler: LogHandler {
    let name: String
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let mark =
            switch event.level {
            case .warning: "warning: "
            case .error, .critical: "error: "
            default: ""
            }
        let more = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " · \($0.key): \($0.value)" }.joined()
        Console.error(
            "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) \(name)  \(mark)\(event.message)\(more)")
    }
}
