import Foundation
import OrderLog

/// The line that shows how far a submission is, redrawn in place on a terminal.
///
/// Off a terminal nothing is drawn.
final class ProgressLine {
    private static let interval: Duration = .milliseconds(100)
    private static let barColumns = 26
    private static let eighths = Array("▏▎▍▌▋▊▉")

    private let isShown: Bool
    private let totalBytes: Int?
    private let begun = ContinuousClock.now
    private var drawnAt = ContinuousClock.now
    private var isOnScreen = false

    /// - Parameters:
    ///   - isWanted: Whether it is drawn where it can be.
    ///   - totalBytes: The input's size; nil when it isn't known.
    init(isWanted: Bool, totalBytes: Int?) {
        isShown =
            isWanted && Console.errorIsTerminal && ProcessInfo.processInfo.environment["TERM"] != "dumb"
        self.totalBytes = totalBytes
    }

    /// Draws anew, ten times a second at most.
    ///
    /// - Parameters:
    ///   - bytes: What of the input was read.
    ///   - tally: What became of it so far.
    func update(bytes: Int, _ tally: SubmissionReport.Tally) {
        guard isShown, drawnAt.duration(to: .now) >= Self.interval else { return }
        drawnAt = .now
        let elapsed = begun.duration(to: .now) / .seconds(1)
        let text = Self.text(bytes: bytes, of: totalBytes, tally, elapsed: elapsed)
        isOnScreen = true
        Console.write("\r\(Self.cut(text))\u{1b}[K", to: STDERR_FILENO)
    }

    /// Takes the line off the screen, so that something else can be said.
    func clear() {
        guard isOnScreen else { return }
        isOnScreen = false
        Console.write("\r\u{1b}[K", to: STDERR_FILENO)
    }

    static func text(
        bytes: Int, of totalBytes: Int?, _ tally: SubmissionReport.Tally, elapsed: Double
    ) -> String {
        var parts: [String] = []
        let rate = elapsed > 0 ? Double(tally.total) / elapsed : 0
        var left: String?
        if let totalBytes, totalBytes > 0, bytes > 0 {
            let fraction = min(1, Double(bytes) / Double(totalBytes))
            let percent = Int(fraction * 100)
            parts.append(
                "\(String(repeating: " ", count: percent < 10 ? 2 : percent < 100 ? 1 : 0))\(percent)% \(bar(fraction))"
            )
            // How many rows there are is known only at the end: it is told from their mean size so far.
            let rows = Int(Double(tally.total) / fraction)
            parts.append("\(FieldError.spaced(tally.total))/~\(FieldError.spaced(rows))")
            let seconds = elapsed * (1 - fraction) / fraction
            left = seconds < 60 ? "\(tenths(seconds))s left" : "\(Int(seconds) / 60)m \(Int(seconds) % 60)s left"
        } else {
            parts.append(" \(FieldError.spaced(tally.total))")
        }
        parts.append("\(FieldError.spaced(Int(rate)))/s")
        if tally.refused > 0 { parts.append("rejected \(FieldError.spaced(tally.refused))") }
        if let left { parts.append(left) }
        return parts.joined(separator: "  ")
    }

    private static func tenths(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    private static func bar(_ fraction: Double) -> String {
        let steps = Int(fraction * Double(barColumns * 8))
        var bar = String(repeating: "█", count: steps / 8)
        if steps % 8 > 0 { bar.append(eighths[steps % 8 - 1]) }
        return "▕\(bar)\(String(repeating: " ", count: barColumns - bar.count))▏"
    }

    /// A line that is wider than the terminal would scroll it at each drawing.
    private static func cut(_ text: String) -> String {
        var size = winsize()
        let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return String(text.prefix(Int(isKnown ? size.ws_col : 80) - 1))
    }
}
