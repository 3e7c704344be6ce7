public import OrderLog
import Synchronization

/// Runs a sink through what a worker, a crashed worker and a stopped one that wakes up again would do to it.
///
/// The store must be empty when it begins. Every sink that is made is another worker's, with connections of its own.
///
/// ```swift
/// @Test func conforms() async throws {
///     let store = try SearchStore(path: path)
///     try await SinkConformance { SearchSink(store) } contents: { try await store.orders(in: $0) }.check()
/// }
/// ```
public struct SinkConformance: Sendable {
    /// A rule of `Sink` that was broken.
    public struct Finding: Sendable, Hashable, CustomStringConvertible {
        /// The rule.
        public let rule: Rule
        /// What was expected, and what was found.
        public let detail: String

        /// The rule, and what was found.
        public var description: String { "\(rule.rawValue): \(detail)" }
    }

    /// What a sink has to hold.
    public enum Rule: String, Sendable, CaseIterable {
        /// A store that was never asked is before the first entry.
        case beginning = "a store that was never asked begins before the first entry"
        /// A batch takes effect, and moves the position.
        case effect = "a batch takes effect and moves the position"
        /// The same batch again changes nothing.
        case twice = "a batch that was applied changes nothing when it comes again"
        /// A batch behind a hole changes nothing.
        case gap = "a batch behind a hole changes nothing"
        /// A worker that was fenced changes nothing.
        case olderToken = "an older token changes nothing"
        /// The same worker's older token changes nothing: a name may come back.
        case sameOwner = "the same owner's older token changes nothing"
        /// Another owner's permit with the right token changes nothing: tokens repeat when a store is restored.
        case otherOwner = "another owner changes nothing"
        /// Under an epoch that is over nobody is let in.
        case olderEpoch = "nobody takes over under an epoch that is over"
        /// What was granted under an older epoch is over.
        case epochOpened = "a permit of an epoch that is over changes nothing"
        /// A batch of entries that were set aside moves the position.
        case noEffect = "a batch without effects moves the position"
        /// A partition's position is its own.
        case partitions = "partitions don't share a position"
        /// What is there and what the position says is the same at every moment at which somebody takes over.
        case atomic = "effects and position are one atomic step"
    }

    /// What was broken.
    public struct Failed: Error, CustomStringConvertible {
        /// At least one.
        public let findings: [Finding]

        /// A line each.
        public var description: String { findings.map(\.description).joined(separator: "\n") }
    }

    private static let batchEntries = 40

    private let make: @Sendable () async throws -> any Sink
    private let contents: @Sendable (Partition) async throws -> [String]
    private let races: Int
    private let open: @Sendable (Partition, Epoch) async throws -> History

    /// Takes the sink that is to be tried, and how to look into its store.
    ///
    /// - Parameters:
    ///   - races: How often a take-over is tried in the middle of a batch.
    ///   - make: Makes a sink on the store, as another worker would.
    ///   - contents: The IDs of a partition's orders that the store holds, in any order; one that it holds twice, twice.
    public init(
        races: Int = 60, make: @escaping @Sendable () async throws -> any Sink,
        contents: @escaping @Sendable (Partition) async throws -> [String]
    ) {
        self.init(races: races, open: { ConformanceRun.history($1.number) }, make: make, contents: contents)
    }

    /// The same for a sink that asks the log in what history it is.
    ///
    /// - Parameters:
    ///   - races: As above.
    ///   - open: Opens a partition of the log under an epoch, each once, with room for a thousand entries, and tells the
    ///     history.
    ///   - make: As above.
    ///   - contents: As above.
    package init(
        races: Int = 60, open: @escaping @Sendable (Partition, Epoch) async throws -> History,
        make: @escaping @Sendable () async throws -> any Sink,
        contents: @escaping @Sendable (Partition) async throws -> [String]
    ) {
        self.races = races
        self.open = open
        self.make = make
        self.contents = contents
    }

    /// Runs it.
    ///
    /// - Throws: ``Failed`` with every rule that was broken; what the sink throws.
    public func check() async throws {
        let findings = try await self.findings()
        if !findings.isEmpty { throw Failed(findings: findings) }
    }

    /// Runs it.
    ///
    /// - Returns: Every rule that was broken; none when the sink conforms.
    /// - Throws: What the sink throws.
    public func findings() async throws -> [Finding] {
        var run = ConformanceRun(open: open, contents: contents)
        let sink = try await make()
        try await run.effects(sink)
        try await run.refusals(sink, other: try await make())
        try await run.epochs(sink)
        try await run.partitions(sink)
        for number in 0..<races { try await race(number, &run) }
        return run.findings
    }

    /// A worker applies a batch while another one takes over: the store is what the second is told, and stays so.
    private func race(_ number: Int, _ run: inout ConformanceRun) async throws {
        let partition = Partition(100 + number)
        let history = try await run.history(of: partition, epoch: 1)
        let first = try await make()
        guard
            case .fenced(let permit, let position) = try await first.fence(
                partition, under: history, owner: ConformanceRun.worker("first"))
        else { return run.found(.atomic, "a fence in an empty partition was refused") }
        let batch = ConformanceRun.batch(permit, after: position, count: Self.batchEntries)
        let (make, contents) = (make, contents)
        let isOver = Mutex(false)
        async let taken = Self.takeOver(partition, history, make, contents) {
            // At some moment, or as soon as anything of the batch can be seen.
            guard number.isMultiple(of: 2) else {
                for _ in 0..<(number * 3) { await Task.yield() }
                return
            }
            while try await contents(partition).isEmpty, !isOver.withLock({ $0 }) { await Task.yield() }
        }
        do { _ = try await first.apply(batch) } catch
        { /* A store may refuse both: whoever takes over sees what is so. */  }
        isOver.withLock { $0 = true }
        let (seq, held) = try await taken
        let expected = batch.applied.prefix(Int(seq.number)).map(\.change.id)
        if held.sorted() != expected.sorted() {
            run.found(
                .atomic, "the position says \(seq), and the store holds \(held.count) of \(batch.applied.count) entries"
            )
        }
        let later = try await contents(partition)
        if later.sorted() != held.sorted() {
            run.found(.atomic, "the store changed from \(held.count) to \(later.count) entries after it was taken over")
        }
    }

    private static func takeOver(
        _ partition: Partition, _ history: History, _ make: @Sendable () async throws -> any Sink,
        _ contents: @Sendable (Partition) async throws -> [String], when: () async throws -> Void
    ) async throws -> (seq: Seq, held: [String]) {
        let second = try await make()
        try await when()
        guard
            case .fenced(_, let position) = try await second.fence(
                partition, under: history, owner: ConformanceRun.worker("second"))
        else { return (.none, try await contents(partition)) }
        return (position.seq, try await contents(partition))
    }
}
