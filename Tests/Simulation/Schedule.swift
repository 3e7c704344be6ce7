import Harness

/// A process of the simulated world, as far as the schedule knows it.
final class SimulatedProcess {
    let name: String
    /// Stopped (SIGSTOP) until then, in microseconds.
    var stoppedUntil: Int64 = 0
    var isKilled = false

    init(_ name: String) { self.name = name }
}

/// Thrown out of every call of a process that was killed, and at the end of a simulation.
struct Killed: Error {}

/// The virtual clock and what waits for it.
///
/// Whatever is due first goes on; chance decides how long a message travels, and so the order in which things happen.
final class Schedule {
    private struct Wait {
        var due: Int64
        let number: Int
        let process: SimulatedProcess
        let continuation: UnsafeContinuation<Void, Never>
    }

    private struct Event {
        let due: Int64
        let body: () -> Void
    }

    var generator: SeededGenerator
    /// Microseconds since the simulation began.
    private(set) var now: Int64 = 0
    /// Resumptions and late arrivals so far.
    private(set) var steps = 0
    private(set) var isOver = false
    /// Whether links break and messages dawdle.
    var isFaulty = true
    private var waits: [Wait] = []
    private var events: [Event] = []
    private var nextNumber = 0
    private let record: ((String) -> Void)?

    init(seed: UInt64, record: ((String) -> Void)?) {
        generator = SeededGenerator(seed: seed)
        self.record = record
    }

    func note(_ text: @autoclosure () -> String) {
        guard let record else { return }
        let milliseconds = String(now / 1000)
        record(String(repeating: " ", count: max(0, 7 - milliseconds.count)) + milliseconds + "  " + text())
    }

    // MARK: - Waiting

    /// Waits until a moment; returns its number early when ``wake(_:)`` is called with it.
    func wait(_ process: SimulatedProcess, until due: Int64, announce: ((Int) -> Void)? = nil) async {
        if isOver { return }
        nextNumber += 1
        let number = nextNumber
        announce?(number)
        await withUnsafeContinuation { continuation in
            waits.append(Wait(due: due, number: number, process: process, continuation: continuation))
        }
    }

    func wait(_ process: SimulatedProcess, milliseconds: Int) async {
        await wait(process, until: now + Int64(milliseconds) * 1000)
    }

    /// A message's way, or a moment of the process's own.
    func travel(_ process: SimulatedProcess) async {
        await wait(process, until: now + latency())
    }

    func latency() -> Int64 {
        guard isFaulty else { return Int64(200 + generator.below(600)) }
        let kind = generator.below(100)
        if kind < 80 { return Int64(100 + generator.below(2000)) }
        if kind < 96 { return Int64(1000 + generator.below(60_000)) }
        if kind < 99 { return Int64(20_000 + generator.below(1_500_000)) }
        // Longer than a lease: whoever waited that long was overtaken.
        return Int64(1_000_000 + generator.below(4_000_000))
    }

    /// Ends a wait now.
    func wake(_ number: Int) {
        guard let index = waits.firstIndex(where: { $0.number == number }) else { return }
        waits[index].due = min(waits[index].due, now + latency())
    }

    /// Ends a process's waits now: it was killed, or may go on.
    func wake(_ process: SimulatedProcess) {
        for index in waits.indices where waits[index].process === process { waits[index].due = now }
    }

    /// Something that happens later, whoever started it.
    func later(_ body: @escaping () -> Void) {
        events.append(Event(due: now + Int64(generator.below(2_500_000)), body: body))
    }

    /// Whether late messages are under way.
    var hasEvents: Bool { !events.isEmpty }

    // MARK: - Going on

    func end() {
        isOver = true
    }

    /// Lets the next thing happen.
    ///
    /// - Returns: false when nothing waits any more.
    func advance() -> Bool {
        if isOver {
            let rest = waits
            waits = []
            events = []
            for wait in rest { wait.continuation.resume() }
            return !rest.isEmpty
        }
        var first = -1
        var due = Int64.max
        for index in waits.indices {
            let wait = waits[index]
            let moment = max(wait.due, wait.process.stoppedUntil)
            if moment < due { (first, due) = (index, moment) }
        }
        if let event = events.indices.min(by: { events[$0].due < events[$1].due }), events[event].due < due {
            let event = events.remove(at: event)
            go(to: event.due)
            event.body()
            return true
        }
        guard first >= 0 else { return false }
        let wait = waits.remove(at: first)
        go(to: due)
        wait.continuation.resume()
        return true
    }

    private func go(to moment: Int64) {
        now = max(now, moment)
        steps += 1
    }
}
