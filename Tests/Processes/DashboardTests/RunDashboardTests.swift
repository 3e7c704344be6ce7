import Glibc
import Reports
import Synchronization
import Testing
import TestSupport

@testable import Dashboard

/// The whole dashboard on a pseudo-terminal.
///
/// One at a time: signal handlers belong to the process.
@Suite("Dashboard on a terminal", .serialized, .timeLimit(.minutes(3)))
struct RunDashboardTests {
    private static let environment = ["TERM": "xterm-256color"]

    private static let refused = Snapshot.Unavailable(
        error: "redis: connection refused", redis: .unreachable(error: "redis: connection refused"),
        postgres: .reachable(version: "15.20"))

    /// Runs the dashboard while `person` does something to it, and sees that the terminal is given back.
    private func withDashboard(
        on terminal: PseudoTerminal, every interval: Duration = .milliseconds(50),
        environment: [String: String] = Self.environment,
        takeSnapshot: @escaping @Sendable (PageQuery) async throws -> Snapshot = { Sample.answer($0) },
        perform: @escaping @Sendable (Deed, String?) async throws -> Deed.Outcome = { _, _ in
            throw DeedFailure("nobody asked for it")
        },
        person: (Task<Void, any Error>) async throws -> Void
    ) async throws {
        let before = terminal.modes
        let dashboard = Task {
            try await runDashboard(
                of: Sample.stores, every: interval, input: terminal.terminal, output: terminal.terminal,
                environment: environment,
                takeSnapshot: takeSnapshot, perform: perform)
        }
        try await person(dashboard)
        // However it ended.
        _ = await dashboard.result
        #expect(terminal.modes == before)
        #expect(!terminal.screen(width: 80, height: 24).isAlternate)
        #expect(terminal.screen(width: 80, height: 24).isCursorShown)
        #expect(terminal.output.hasSuffix("\u{1B}[0m\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"))
    }

    private func shows(_ text: String, _ terminal: PseudoTerminal, width: Int = 80, height: Int = 24) async throws
        -> Bool
    {
        try await eventually { terminal.screen(width: width, height: height).text.contains { $0.contains(text) } }
    }

    @Test("it takes the terminal over, reads keys, and gives it back when its reader quits")
    func quit() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        #expect(!terminal.isRaw)
        try await withDashboard(on: terminal) { dashboard in
            #expect(try await shows("▸delivery", terminal))
            #expect(terminal.isRaw)
            #expect(terminal.screen(width: 80, height: 24).isAlternate)
            #expect(!terminal.screen(width: 80, height: 24).isCursorShown)
            terminal.type("\u{1B}[A")
            #expect(try await shows("▸stock", terminal))
            terminal.type("k")
            #expect(try await shows("▸postgres", terminal))
            terminal.type("q")
            try await dashboard.value
        }
    }

    @Test("what is on the screen is what the model draws, 80 columns wide to the last one")
    func content() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        try await withDashboard(on: terminal) { dashboard in
            #expect(try await shows("ord-7714", terminal))
            let text = terminal.screen(width: 80, height: 24).text
            #expect(text.filter { $0.hasPrefix("┌") && $0.hasSuffix("┐") && $0.columns == 80 }.count == 3)
            terminal.type("q")
            try await dashboard.value
        }
    }

    @Test("Ctrl-C quits, and a lone ESC is the Escape key")
    func controlC() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        try await withDashboard(on: terminal) { dashboard in
            #expect(try await shows("▸delivery", terminal))
            terminal.type("?")
            #expect(try await shows("esc close", terminal))
            terminal.type("\u{1B}")
            #expect(try await shows("? help", terminal))
            terminal.type("\u{3}")
            try await dashboard.value
        }
    }

    @Test("a deed is planned and done beside the snapshots, which go on")
    func deed() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        let done = Mutex<[String]>([])
        try await withDashboard(
            on: terminal,
            perform: { deed, plan in
                done.withLock { $0.append("\(deed) \(plan ?? "–")") }
                if let plan { return Deed.Outcome(lines: ["done as \(plan)"]) }
                return Deed.Outcome(lines: ["would be done"], plan: "plan-1")
            },
            person: { dashboard in
                #expect(try await shows("▸delivery", terminal))
                terminal.type("d")
                #expect(try await shows("▸5:118", terminal))
                terminal.type("R")
                #expect(try await shows("would be done", terminal))
                terminal.type("y")
                #expect(try await shows("done as plan-1", terminal))
                terminal.type("\u{3}")
                try await dashboard.value
            })
        #expect(
            done.withLock { $0 } == [#"retry(letter: "5:118") –"#, #"retry(letter: "5:118") plan-1"#])
    }

    @Test("resizing lays the screen out anew")
    func resize() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        try await withDashboard(on: terminal) { dashboard in
            #expect(try await shows("▸delivery", terminal))
            terminal.resize(width: 120, height: 40)
            // The terminal would send it to its foreground group; this process isn't in one.
            kill(getpid(), SIGWINCH)
            #expect(try await shows("ERROR", terminal, width: 120, height: 40))
            terminal.resize(width: 50, height: 10)
            kill(getpid(), SIGWINCH)
            #expect(try await shows("terminal too small (50×10), needs 60×12", terminal))
            terminal.type("q")
            try await dashboard.value
        }
    }

    @Test("keys work while a server hangs, the age is shown, and quitting doesn't wait for it")
    func hanging() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        let calls = Atomic(0)
        try await withDashboard(
            on: terminal,
            takeSnapshot: { query in
                if calls.add(1, ordering: .relaxed).newValue > 2 { try await Task.sleep(for: .seconds(3600)) }
                return Sample.answer(query)
            },
            person: { dashboard in
                #expect(try await shows("ord-7714", terminal))
                #expect(try await shows("waiting for an answer", terminal))
                #expect(try await shows("redis ?   postgres ?", terminal))
                terminal.type("\t")
                #expect(try await shows("▸0 ", terminal))
                terminal.type("qq")
                try await dashboard.value
            })
    }

    @Test("a snapshot that fails is told of and tried again")
    func failing() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        let isDown = Atomic(true)
        try await withDashboard(
            on: terminal,
            takeSnapshot: { query in
                if isDown.load(ordering: .relaxed) { throw Self.refused }
                return Sample.answer(query)
            },
            person: { dashboard in
                #expect(try await shows("trying again · redis: connection refused", terminal))
                isDown.store(false, ordering: .relaxed)
                #expect(try await shows("redis ● 7.0.15", terminal))
                isDown.store(true, ordering: .relaxed)
                #expect(try await shows("redis !○ unreachable   postgres ● 15.20", terminal))
                // Whoever looks seldom on a busy machine may miss a second, never all that follow.
                let ages = try await eventually {
                    terminal.screen(width: 80, height: 24).text.contains {
                        guard let age = $0.firstMatch(of: /~ (\d+)s ago/) else { return false }
                        return Int(age.1).map { $0 >= 2 } ?? false
                    }
                }
                #expect(ages)
                terminal.type("?")
                #expect(try await shows("esc close", terminal))
                #expect(try await shows(" production  10.0.0.1:6379/0 · db.internal:5432/shop · onewrite", terminal))
                terminal.type("\u{1B}")
                terminal.type("q")
                try await dashboard.value
            })
    }

    @Test("it asks for the entries of the selected group and partition, without waiting for the interval")
    func queries() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        let queries = Mutex<[PageQuery]>([])
        try await withDashboard(
            on: terminal, every: .seconds(3600),
            takeSnapshot: { query in
                queries.withLock { $0.append(query) }
                return Sample.answer(query)
            },
            person: { dashboard in
                #expect(try await shows("ord-7714", terminal))
                terminal.type("\r\u{1B}[B\r")
                #expect(try await shows("Pending in delivery, partition 1", terminal))
                let wanted = PageQuery(group: "delivery", partition: 1, limit: 200)
                let came = try await eventually { queries.withLock { $0.last == wanted } }
                #expect(came)
                terminal.type("\u{3}")
                try await dashboard.value
            })
        #expect(queries.withLock { $0.first } == PageQuery(group: nil, partition: nil, limit: 200))
    }

    @Test("while paused it takes no snapshot but the one that is wished for")
    func paused() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        let calls = Atomic(0)
        try await withDashboard(
            on: terminal, every: .milliseconds(20),
            takeSnapshot: { query in
                calls.add(1, ordering: .relaxed)
                return Sample.answer(query)
            },
            person: { dashboard in
                #expect(try await shows("ord-7714", terminal))
                terminal.type("p")
                #expect(try await shows("paused", terminal))
                // One may have been under way.
                terminal.type("r")
                terminal.type("?")
                #expect(try await shows("esc close", terminal))
                let before = calls.load(ordering: .relaxed)
                for key in 0..<10 {
                    terminal.type("?")
                    #expect(try await shows(key.isMultiple(of: 2) ? "? help" : "esc close", terminal))
                }
                #expect(calls.load(ordering: .relaxed) <= before + 1)
                terminal.type("\u{3}")
                try await dashboard.value
            })
    }

    @Test(
        "a signal that ends the process is passed on once the terminal is back", arguments: [SIGTERM, SIGINT, SIGHUP])
    func signals(signal: Int32) async throws {
        // An earlier handler decides what becomes of it; without one the process would end.
        endingSignal.store(0, ordering: .relaxed)
        var handler = sigaction()
        var original = sigaction()
        handler.__sigaction_handler.sa_handler = { endingSignal.store($0, ordering: .relaxed) }
        sigaction(signal, &handler, &original)
        defer { sigaction(signal, &original, nil) }

        let terminal = try PseudoTerminal(width: 80, height: 24)
        try await withDashboard(on: terminal) { dashboard in
            #expect(try await shows("▸delivery", terminal))
            kill(getpid(), signal)
            try await dashboard.value
            let came = try await eventually { endingSignal.load(ordering: .relaxed) == signal }
            #expect(came)
        }
    }

    @Test("being continued after a stop sets the terminal up again")
    func continued() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        try await withDashboard(on: terminal) { dashboard in
            #expect(try await shows("▸delivery", terminal))
            // What a shell does to the modes when a program is stopped.
            var modes = termios()
            #expect(tcgetattr(terminal.terminal, &modes) == 0)
            modes.c_lflag |= UInt32(ICANON | ECHO | ISIG)
            #expect(tcsetattr(terminal.terminal, TCSANOW, &modes) == 0)
            kill(getpid(), SIGCONT)
            let came = try await eventually { terminal.isRaw }
            #expect(came)
            terminal.type("q")
            try await dashboard.value
        }
    }

    @Test("cancelling ends it")
    func cancelled() async throws {
        let terminal = try PseudoTerminal(width: 80, height: 24)
        try await withDashboard(on: terminal) { dashboard in
            let came = try await shows("▸delivery", terminal)
            #expect(came)
            dashboard.cancel()
        }
    }

    @Test("without NO_COLOR there is colour, with it there is none")
    func noColor() async throws {
        for (environment, isColored) in [(Self.environment, true), (["TERM": "xterm", "NO_COLOR": "1"], false)] {
            let terminal = try PseudoTerminal(width: 80, height: 24)
            try await withDashboard(on: terminal, environment: environment) { dashboard in
                #expect(try await shows("▸delivery", terminal))
                terminal.type("q")
                try await dashboard.value
            }
            #expect(terminal.output.contains(/\u{1B}\[[0-9;]*3[0-9]m/) == isColored)
        }
    }

    @Test("what is no terminal, or a dumb one, is refused before anything is written")
    func refused() async throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { ends.forEach { close($0) } }
        await #expect(throws: DashboardError.notATerminal) {
            try await runDashboard(
                of: Sample.stores, every: .seconds(1), input: ends[0], output: ends[1], environment: Self.environment,
                takeSnapshot: { Sample.answer($0) }, perform: { _, _ in Deed.Outcome(lines: []) })
        }
        let terminal = try PseudoTerminal(width: 80, height: 24)
        for environment in [["TERM": "dumb"], ["TERM": ""], [:]] {
            await #expect(throws: DashboardError.dumbTerminal) {
                try await runDashboard(
                    of: Sample.stores, every: .seconds(1), input: terminal.terminal, output: terminal.terminal,
                    environment: environment,
                    takeSnapshot: { Sample.answer($0) }, perform: { _, _ in Deed.Outcome(lines: []) })
            }
        }
        #expect(terminal.output.isEmpty)
        #expect(!terminal.isRaw)
    }
}

/// The signal that came through to the test's own handler.
private let endingSignal = Atomic<Int32>(0)

extension PseudoTerminal {
    /// What a person sees in a window of this size.
    fileprivate func screen(width: Int, height: Int) -> Emulator {
        Emulator(output, size: ScreenSize(width: width, height: height))
    }
}

/// Waits until a condition holds, at most half a minute.
///
/// - Returns: Whether it came to hold.
private func eventually(_ condition: () throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + .seconds(30)
    while try !condition() {
        guard ContinuousClock.now < deadline else { return false }
        try await Task.sleep(for: .milliseconds(5))
    }
    return true
}
