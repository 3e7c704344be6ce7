/// What is submitted in one run of the matrix, chunk by chunk, by real `onewrite submit` processes.
///
/// Shops, SKUs and mixture as in ``Workload``, without an end: a run submits until its fault was seen.
actor RunningLoad {
    private let submitters: Submitters
    private var generator: SeededGenerator
    private var chunks = 0
    private var orders = 0
    private var placed: [PlannedChange] = []
    /// Everything that was submitted, with the answers.
    nonisolated let book = ReceiptBook()

    init(_ shop: Shop, seed: UInt64) {
        submitters = Submitters(servers: shop, pace: .zero)
        generator = SeededGenerator(seed: seed)
    }

    /// Submits a chunk from two processes at once; some changes are in both.
    func submit() async throws {
        let (first, second) = (chunk(), chunk())
        let both = second + first.filter { $0.kind == .placed }.prefix(3)
        async let ours: Void = submit(first, by: 1)
        async let theirs: Void = submit(both, by: 2)
        _ = try await (ours, theirs)
    }

    /// Submits these changes from one process.
    func submit(_ changes: [PlannedChange], by submitter: Int) async throws {
        chunks += 1
        book.submitting(changes, by: submitter)
        let answers = try await submitters.submit(changes, named: "chunk-\(chunks)")
        book.answered(answers.map(\.receipt), to: changes, isApplied: false)
        placed += changes.filter { $0.kind == .placed }
    }

    /// New changes: orders in all shops, cancellations of earlier ones, and stock that is received or counted.
    func chunk(of size: Int = 24) -> [PlannedChange] {
        var changes: [PlannedChange] = []
        for _ in 0..<size {
            orders += 1
            let order = Workload.order(orders, using: &generator)
            changes.append(order)
            if orders % 7 == 0, let former = placed.randomElement(using: &generator) {
                placed.removeAll { $0.id == former.id }
                changes.append(
                    PlannedChange(
                        kind: .cancelled, id: "\(former.id)/cancel", shop: former.shop, order: former.id,
                        lines: former.lines))
            }
            if orders % 11 == 0 {
                changes.append(
                    PlannedChange(
                        kind: orders % 2 == 0 ? .received : .counted, id: "stock-\(orders)", shop: order.shop,
                        lines: order.lines))
            }
        }
        return changes
    }
}
