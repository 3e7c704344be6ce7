import Foundation
import Harness
import PrivateServers
import Synchronization

/// Worker processes of every group, each started again when it ends, as an init system would.
final class WorkerCrew: Sendable {
    struct Name: Hashable, Sendable, CustomStringConvertible {
        let group: String
        let number: Int
        var description: String { "\(group)-\(number)" }
    }

    let names: [Name]
    private let shop: Shop
    private let processes = Mutex<[Name: ChildProcess]>([:])
    private let kills = Mutex<Set<pid_t>>([])
    private let ends = Mutex(Ends())

    /// How workers ended that nobody killed.
    struct Ends: Sendable {
        var restarts = 0
        var violations: [String] = []
    }

    init(_ shop: Shop, ofEachGroup count: Int) {
        self.shop = shop
        names = StoreContents.groups.flatMap { group in (1...count).map { Name(group: group, number: $0) } }
    }

    var violations: [String] { ends.withLock { $0.violations } }
    var restarts: Int { ends.withLock { $0.restarts } }

    func process(_ name: Name) -> ChildProcess? { processes.withLock { $0[name] } }

    /// Starts all, and keeps them running until the task is cancelled; then ends them in an orderly way.
    func run() async throws {
        while !Task.isCancelled {
            for name in names {
                if let process = process(name) {
                    guard let status = process.exitStatus else { continue }
                    note(status, of: process, name)
                }
                try await start(name)
            }
            do { try await Task.sleep(for: .milliseconds(50)) } catch { break }
        }
        await stopAll()
    }

    /// Kills a worker; ``run()`` starts it again.
    func kill(_ name: Name) async -> Bool {
        guard let process = process(name), process.isRunning else { return false }
        _ = kills.withLock { $0.insert(process.pid) }
        await process.kill()
        return true
    }

    /// Starts a worker with a fault in its environment, in the place of the one of this name.
    func replace(_ name: Name, environment: [String: String?]) async throws -> ChildProcess {
        let process = try await shop.startWorker(group: name.group, name: "\(name)", environment: environment)
        let old = processes.withLock { processes in
            defer { processes[name] = process }
            return processes[name]
        }
        if let old {
            _ = kills.withLock { $0.insert(old.pid) }
            await old.kill()
        }
        return process
    }

    private func start(_ name: Name) async throws {
        let process = try await shop.startWorker(group: name.group, name: "\(name)")
        processes.withLock { $0[name] = process }
    }

    private func note(_ status: ChildProcess.ExitStatus, of process: ChildProcess, _ name: Name) {
        if kills.withLock({ $0.remove(process.pid) }) != nil { return }
        ends.withLock { ends in
            ends.restarts += 1
            switch status {
            // No server, or one of its name there still: start again.
            case .exited(69), .exited(75): break
            case .exited, .killed: ends.violations.append("worker \(name) ended by itself with \(status)")
            }
        }
    }

    private func stopAll() async {
        let all = processes.withLock { Array($0.values) }
        await withTaskGroup { tasks in
            for process in all { tasks.addTask { _ = await process.stop() } }
        }
    }
}
