import Faults
package import OrderLog

extension LogFormat {
    /// The formats that this process serves: those that the program supports, unless a test asks for fewer.
    package static let known: ClosedRange<LogFormat> =
        Faults.formats.map { supported.clamped(to: LogFormat($0.lowerBound)...LogFormat($0.upperBound)) } ?? supported

    /// What a worker tells of the formats that it knows.
    ///
    /// Builds that knew the first one only told nothing of it.
    static let told: [Int]? =
        known.upperBound.number == 1 ? nil : Array(known.lowerBound.number...known.upperBound.number)

    /// `format 1`, `formats 1 to 2`.
    package static func text(_ formats: ClosedRange<LogFormat>) -> String {
        formats.lowerBound == formats.upperBound
            ? "format \(formats.lowerBound)" : "formats \(formats.lowerBound) to \(formats.upperBound)"
    }

    /// Refuses a format that isn't among some.
    ///
    /// - Parameters:
    ///   - formats: Those that the caller can do with.
    ///   - what: What has this format: `the schema in Postgres`.
    ///   - store: Where it was read.
    /// - Throws: ``StoreError`` of the kind `misconfigured`, with what to do about it.
    package func require(
        in formats: ClosedRange<LogFormat>, of what: String, _ store: StoreError.Store
    ) throws(StoreError) {
        if formats.contains(self) { return }
        let advice =
            self > formats.upperBound
            ? "Use a newer onewrite, one that knows format \(self)" : "Bring it to a newer one: onewrite upgrade"
        throw StoreError(
            store, .misconfigured,
            "\(what) is of format \(self), and this program knows \(Self.text(formats)). \(advice)")
    }
}

extension WorkerReport {
    /// Whether the worker can serve a log of a format.
    package func knows(_ format: LogFormat) -> Bool { (formats ?? [1]).contains(format.number) }
}
