import Glibc
import Reports

/// The dashboard on a terminal: waits for keys, signals, snapshots and time, and lets the model decide.
///
/// Runs on one thread from start to end. Snapshots are taken elsewhere, so that keys work while a server hangs.
final class DashboardSession {
    /// Why the dashboard ended.
    enum Ending: Sendable, Equatable {
        /// The reader quit, the terminal went away, or the task was cancelled.
        case quit
        /// A signal asked for it.
        case signal(Int32)
    }

    /// How long a lone ESC may be the start of a sequence.
    private static let escapeWait = Duration.milliseconds(50)

    private let terminal: Terminal
    private let feeds: DashboardFeeds
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private var model: DashboardModel
    private var parser = KeyParser()
    /// When the bytes that are no key yet came.
    private var waitingSince: Duration?
    /// The question that is being answered.
    private var asked: PageQuery?
    private var lastQuery: PageQuery?
    private var nextAsk = Duration.zero

    init(terminal: Terminal, feeds: DashboardFeeds, stores: Snapshot.Environment, interval: Duration) {
        self.terminal = terminal
        self.feeds = feeds
        start = clock.now
        model = DashboardModel(of: stores, interval: interval, size: terminal.size)
    }

    /// Shows the dashboard until it ends; the terminal is as before when this returns or throws.
    func run() throws(DashboardError) -> Ending {
        let signals = SignalCatch(into: feeds.pipe)
        defer { signals.release() }
        // First of all the terminal, last the signals: none may end the process in between.
        defer { terminal.leave() }
        try terminal.enter()
        // It may have been resized before the signal was caught.
        model.resize(to: terminal.size)
        while true {
            ask()
            try terminal.show(model.render())
            let (events, isReadable) = try feeds.pipe.wait(alsoOn: terminal.descriptor, for: untilNext)
            model.advance(to: elapsed)
            for event in events {
                guard case .signal(let signal) = event else { continue }
                if SignalCatch.ending.contains(signal) { return .signal(signal) }
                try obey(signal, signals)
            }
            if feeds.isStopped { return .quit }
            takeAnswers()
            if isReadable {
                guard let bytes = try terminal.read() else { return .quit }
                waitingSince = elapsed
                if try handle(parser.feed(bytes)) { return .quit }
            } else if let waitingSince, elapsed - waitingSince >= Self.escapeWait {
                if try handle(parser.flush()) { return .quit }
            }
            if !parser.isWaiting { waitingSince = nil }
        }
    }

    private var elapsed: Duration { clock.now - start }

    /// How long nothing happens by itself.
    private var untilNext: Duration {
        // Ages are shown in seconds.
        var until = Duration.seconds(1)
        if let waitingSince { until = min(until, waitingSince + Self.escapeWait - elapsed) }
        if asked == nil, !model.isPaused { until = min(until, nextAsk - elapsed) }
        return max(.zero, until)
    }

    private func obey(_ signal: Int32, _ signals: SignalCatch) throws(DashboardError) {
        switch signal {
        case SIGWINCH:
            model.resize(to: terminal.size)
            // Terminals rearrange what they showed.
            terminal.forget()
        case SIGTSTP:
            terminal.leave()
            try signals.stopProcess()
            try resume()
        case SIGCONT:
            // Stopped by SIGSTOP, which nobody can catch: the shell has changed the modes.
            try resume()
        default: break
        }
    }

    private func resume() throws(DashboardError) {
        try terminal.enter()
        model.resize(to: terminal.size)
    }

    /// Gives the keys to the model.
    ///
    /// - Returns: Whether the reader quit.
    private func handle(_ keys: [Key]) throws(DashboardError) -> Bool {
        for key in keys {
            switch model.handle(key) {
            case .none: break
            case .quit: return true
            case .refresh: nextAsk = .zero
            case .redraw: terminal.forget()
            // To the whole group, as the terminal itself would: a wrapper around us stops too.
            case .suspend: kill(0, SIGTSTP)
            case .perform(let deed, let plan): feeds.deeds.ask(DashboardFeeds.DeedQuestion(deed: deed, plan: plan))
            }
        }
        return false
    }

    /// Asks for a snapshot when one is due, was wished for, or other entries are in sight now.
    private func ask() {
        let query = model.query
        let isWished = nextAsk == .zero
        let isDue = !model.isPaused && (elapsed >= nextAsk || query != lastQuery)
        guard asked == nil, isWished || isDue else { return }
        asked = query
        lastQuery = query
        nextAsk = elapsed + model.interval
        feeds.snapshots.ask(query)
    }

    private func takeAnswers() {
        if let answer = feeds.deeds.takeAnswer() {
            model.take(answer.result, of: answer.deed, at: elapsed)
            nextAsk = .zero
        }
        guard let answer = feeds.snapshots.takeAnswer() else { return }
        asked = nil
        switch answer {
        case .success(let snapshot): model.update(snapshot, at: elapsed)
        case .failure(let failure): model.fail(failure, at: elapsed)
        }
    }
}
