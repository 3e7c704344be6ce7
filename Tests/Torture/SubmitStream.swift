import Foundation
import Harness
import PrivateServers
import Synchronization

/// A submitter that submits file after file with `onewrite submit`, each again and again until every change has its answer.
final class SubmitStream: Sendable {
    /// What a change is worth when it is accepted.
    enum Promise: Sendable {
        /// The log has it.
        case logged
        /// Postgres has applied it.
        case applied
        /// A replica has it.
        case replicated
    }

    private struct State {
        var process: ChildProcess?
        var violations: [String] = []
        var runs = 0
    }

    let number: Int
    private let shop: Shop
    private let book: ReceiptBook
    private let promise: Promise
    private let takesDurability: Bool
    /// Whether orders may be refused for want of stock.
    private let mayBeRefused: Bool
    private let state = Mutex(State())

    /// - Parameters:
    ///   - number: Which, from 0.
    ///   - shop: Where to.
    ///   - book: Takes the receipts.
    ///   - promise: What is asked for.
    ///   - mayBeRefused: Whether orders may be, for want of stock.
    ///   - takesDurability: Whether the executable has `--durability`; without, `--wait` says whether Postgres has it.
    init(
        _ number: Int, _ shop: Shop, _ book: ReceiptBook, promise: Promise, mayBeRefused: Bool, takesDurability: Bool
    ) {
        self.mayBeRefused = mayBeRefused
        self.number = number
        self.shop = shop
        self.book = book
        self.promise = promise
        self.takesDurability = takesDurability
    }

    var violations: [String] { state.withLock { $0.violations } }
    var runs: Int { state.withLock { $0.runs } }

    /// Kills the process that submits at this moment.
    func kill() async -> Bool {
        guard let process = state.withLock({ $0.process }), process.isRunning else { return false }
        await process.kill()
        return true
    }

    /// Submits until `orders` says that it is enough, and returns when everything submitted has its answer.
    func run(_ orders: OrderSource, pace: Duration) async throws {
        while let changes = orders.next(for: number) {
            let next = ContinuousClock.now + pace
            try await submit(changes)
            try await Task.sleep(until: next, clock: .continuous)
        }
    }

    /// Submits, and returns when every change has its answer.
    func submit(_ changes: [PlannedChange]) async throws {
        var open = changes
        while !open.isEmpty {
            try Task.checkCancellation()
            let cuts = book.submitting(open, by: number)
            let (receipts, status) = try await submitOnce(open)
            let isApplied =
                promise == .applied && (takesDurability || status == .exited(0))
            let unanswered = book.answered(
                receipts, to: open, isApplied: isApplied, isReplicated: promise == .replicated, cuts: cuts)
            // A submitter that doesn't keep its receipts submits all of it again.
            open = unanswered.isEmpty || runs.isMultiple(of: 2) ? unanswered : open
            if !unanswered.isEmpty { try await Task.sleep(for: .milliseconds(200)) }
        }
    }

    private func submitOnce(_ changes: [PlannedChange]) async throws -> ([ReceiptLine], ChildProcess.ExitStatus) {
        let run = state.withLock { state in
            state.runs += 1
            return state.runs
        }
        let input = "\(shop.directory)/submit-\(number).ndjson"
        let output = "\(shop.directory)/receipts-\(number)-\(run).json"
        try Data(changes.map { $0.json + "\n" }.joined().utf8).write(to: URL(filePath: input))
        var arguments = ["submit", "-", "--json", "--timeout", "10s"]
        if promise == .replicated { arguments += ["--durability", "replicas=1"] }
        if promise == .applied { arguments += takesDurability ? ["--durability", "applied"] : ["--wait=postgres"] }
        let process = try await shop.spawn(
            arguments, input: .file(input), output: .appended(to: output),
            errors: .appended(to: "\(shop.directory)/submit-\(number).log"))
        state.withLock { $0.process = process }
        let status: ChildProcess.ExitStatus
        do {
            status = try await process.exit(within: .seconds(120))
        } catch is ChildProcessError {
            note("submitter \(number) did not end within 120 s")
            status = await process.kill()
        }
        switch status {
        case .exited(0), .exited(69), .exited(75), .killed(signal: SIGKILL): break
        case .exited(1) where mayBeRefused: break
        default: note("submitter \(number) ended with \(status)")
        }
        let receipts = Self.receipts(in: FileManager.default.contents(atPath: output) ?? Data())
        try FileManager.default.removeItem(atPath: output)
        return (receipts, status)
    }

    private func note(_ violation: String) { state.withLock { $0.violations.append(violation) } }

    /// The receipts; a killed submitter's last line may be cut.
    private static func receipts(in data: Data) -> [ReceiptLine] {
        var receipts: [ReceiptLine] = []
        for line in data.split(separator: UInt8(ascii: "\n")) {
            do { receipts.append(try JSONDecoder().decode(ReceiptLine.self, from: line)) } catch { break }
        }
        return receipts
    }
}

/// Where all submitters of a round get their changes.
final class OrderSource: Sendable {
    private struct State {
        var generator: SeededGenerator
        var isOpen = true
        var made = 0
        /// Some of what was made lately, for others to submit again.
        var recent: [PlannedChange] = []
        /// Orders to be cancelled, or to come back, of each submitter.
        var toFollow: [Int: [PlannedChange]] = [:]
    }

    private let state: Mutex<State>

    init(seed: UInt64) {
        state = Mutex(State(generator: SeededGenerator(seed: seed)))
    }

    /// Whether orders flow.
    var isOpen: Bool { state.withLock { $0.isOpen } }

    /// Ends the flow, or lets it go on.
    func setOpen(_ isOpen: Bool) { state.withLock { $0.isOpen = isOpen } }

    /// The next file of a submitter; nil when the flow is ended.
    func next(for submitter: Int) -> [PlannedChange]? {
        state.withLock { state in
            guard state.isOpen else { return nil }
            var changes = state.toFollow.removeValue(forKey: submitter) ?? []
            for _ in 0..<Int.random(in: 20...120, using: &state.generator) {
                state.made += 1
                changes.append(Self.change(state.made, of: submitter, &state.generator))
                let order = changes[changes.count - 1]
                if order.kind == .placed, Int.random(in: 0..<20, using: &state.generator) == 0 {
                    let cancellation = PlannedChange(
                        kind: .cancelled, id: "\(order.id)/cancel", shop: order.shop, order: order.id,
                        lines: order.lines)
                    // In the same file, or in the next.
                    if Bool.random(using: &state.generator) {
                        changes.append(cancellation)
                    } else {
                        state.toFollow[submitter, default: []].append(cancellation)
                    }
                }
                if order.kind == .placed, let line = order.lines.first,
                    Int.random(in: 0..<20, using: &state.generator) == 0
                {
                    let back = PlannedChange(
                        kind: .returned, id: "\(order.id)/return/1", shop: order.shop, order: order.id,
                        lines: [
                            .init(sku: line.sku, quantity: Int64.random(in: 1...line.quantity, using: &state.generator))
                        ])
                    state.toFollow[submitter, default: []].append(back)
                }
                if Int.random(in: 0..<25, using: &state.generator) == 0, order.kind == .placed {
                    state.recent.append(order)
                }
            }
            // Another submitter sends it too, perhaps at the same time.
            changes += state.recent
            if state.recent.count > 20 { state.recent.removeFirst(state.recent.count - 20) }
            // Twice in one file is a duplicate within the call.
            var seen: Set<PlannedChange> = []
            return changes.filter { seen.insert($0).inserted }
        }
    }

    private static func change(_ number: Int, of submitter: Int, _ generator: inout SeededGenerator) -> PlannedChange {
        var order = Workload.order(number, using: &generator)
        switch Int.random(in: 0..<50, using: &generator) {
        case 0:
            order = PlannedChange(
                kind: .counted, id: "count-\(number)", shop: order.shop,
                lines: order.lines.map { .init(sku: $0.sku, quantity: $0.quantity * 100) })
        case 1:
            order = PlannedChange(kind: .received, id: "delivery-\(number)", shop: order.shop, lines: order.lines)
        default: break
        }
        return order
    }
}
