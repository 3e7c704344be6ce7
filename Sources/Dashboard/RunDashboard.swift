import Dispatch
import FoundationEssentials
import Glibc
package import Reports

/// Shows the dashboard in a terminal until its reader quits.
///
/// Raw mode and the alternate screen are taken back on every way out: quitting, an error, cancellation, SIGINT, SIGTERM,
/// SIGHUP and SIGQUIT; after such a signal the process gets it again, so that it ends as if uncaught (or as an
/// earlier handler decides). Ctrl-Z and `fg` work. A snapshot that fails or takes long leaves the last one in sight, with its age; keys
/// work meanwhile, and a failed one is tried again at the next interval.
///
/// Needs SIGINT and its like for itself while it runs: one dashboard a process.
///
/// - Parameters:
///   - stores: Which they are; shown on every screen.
///   - interval: How often to take a snapshot.
///   - input: The terminal that keys come from.
///   - output: The terminal that is drawn on.
///   - environment: `TERM` and `NO_COLOR` are looked at.
///   - takeSnapshot: Reads the stores; its errors are shown, so they must hold no secret, and a ``Snapshot/Unavailable``
///     says which server is away. When the dashboard ends it is
///     cancelled and must end soon, since it is waited for.
///   - perform: Plans a deed, or does it when it is given the plan that was confirmed. Its errors are shown, too. It is
///     cancelled and waited for like the other.
/// - Throws: ``DashboardError``; nothing was drawn when it is ``DashboardError/notATerminal`` or
///   ``DashboardError/dumbTerminal``.
package func runDashboard(
    of stores: Snapshot.Environment, every interval: Duration, input: Int32 = STDIN_FILENO,
    output: Int32 = STDOUT_FILENO,
    environment: [String: String] = ProcessInfo.processInfo.environment,
    takeSnapshot: @escaping @Sendable (PageQuery) async throws -> Snapshot,
    perform: @escaping @Sendable (Deed, String?) async throws -> Deed.Outcome
) async throws {
    // Before anything is touched, so that the caller can print a table instead.
    _ = try Terminal(input: input, output: output, environment: environment)
    let feeds = try DashboardFeeds()
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            await feeds.snapshots.answer { query in
                do {
                    return .success(try await takeSnapshot(query))
                } catch {
                    return .failure(error as? Snapshot.Unavailable ?? Snapshot.Unavailable(error: "\(error)"))
                }
            }
        }
        group.addTask {
            await feeds.deeds.answer { question in
                do {
                    return (question.deed, .success(try await perform(question.deed, question.plan)))
                } catch {
                    return (question.deed, .failure(error as? DeedFailure ?? DeedFailure("\(error)")))
                }
            }
        }
        defer {
            feeds.stop()
            group.cancelAll()
        }
        try await withTaskCancellationHandler {
            try await onThreadOfItsOwn {
                let terminal = try Terminal(input: input, output: output, environment: environment)
                let ending = try DashboardSession(
                    terminal: terminal, feeds: feeds, stores: stores, interval: interval
                ).run()
                if case .signal(let signal) = ending { kill(getpid(), signal) }
            }
        } onCancel: {
            feeds.stop()
        }
    }
}

/// Runs blocking work where it keeps no other task waiting.
private func onThreadOfItsOwn(_ work: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "dashboard").async {
            continuation.resume(with: Result(catching: work))
        }
    }
}
