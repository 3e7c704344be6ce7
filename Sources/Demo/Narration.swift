import Foundation
import OrderLog

/// What the demo says, a line an event, with the time since it began.
struct Narration: Sendable {
    private let start = ContinuousClock.now
    private let say: @Sendable (String) -> Void

    init(_ say: @escaping @Sendable (String) -> Void) { self.say = say }

    func say(_ line: String) {
        let tenths = Int(start.duration(to: .now) / .milliseconds(100))
        let time = "\(tenths / 10).\(tenths % 10)s"
        say(String(repeating: " ", count: max(0, 6 - time.count)) + time + "  " + line)
    }

    /// A line that belongs to the one before.
    func add(_ line: String) {
        say("          " + line)
    }

    static func count(_ number: Int, _ one: String, _ many: String) -> String {
        "\(FieldError.spaced(number)) \(number == 1 ? one : many)"
    }
}
