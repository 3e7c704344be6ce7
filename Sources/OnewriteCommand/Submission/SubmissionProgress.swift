import OrderLog

/// Shows on the ``ProgressLine`` how far a submission is.
struct SubmissionProgress {
    private static let barColumns = 26
    private static let eighths = Array("▏▎▍▌▋▊▉")

    private let totalBytes: Int?
    private let begun = ContinuousClock.now

    /// - Parameters:
    ///   - isWanted: Whether it is shown where it can be.
    ///   - totalBytes: The input's size; nil when it isn't known.
    init(isWanted: Bool, totalBytes: Int?) {
        self.totalBytes = totalBytes
        if !isWanted { ProgressLine.hide() }
    }

    /// Notes how far it is.
    ///
    /// - Parameters:
    ///   - bytes: What of the input was read.
    ///   - tally: What became of it so far.
    func update(bytes: Int, _ tally: SubmissionReport.Tally) {
        ProgressLine.show {
            Self.text(bytes: bytes, of: totalBytes, tally, elapsed: begun.duration(to: .now) / .seconds(1))
        }
    }

    /// Takes it off the screen, so that something else can be said.
    func clear() { ProgressLine.clear() }

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
        if tally.problems > 0 { parts.append("rejected \(FieldError.spaced(tally.problems))") }
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
}
