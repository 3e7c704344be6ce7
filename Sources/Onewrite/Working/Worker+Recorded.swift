import Connections
import Coordination
import Logging
import OrderLog
import RedisLog
import Synchronization
import ThreadedIO

// The groups that are recorded with the log, and served as it says.
extension Worker {
    /// How often the log is asked for its groups.
    private static let pause: Duration = .seconds(2)

    /// Serves the groups that were added with a kind, until ``stop()``.
    func serveRecorded() async {
        let own = Set(sinks.map(\.group))
        await withTaskGroup(of: Void.self) { tasks in
            while await isGoingOn() {
                for (group, definition) in await definitions() ?? []
                where definition.kind != GroupDefinition.own && !Group.builtIn.contains(group) && !own.contains(group) {
                    guard state.withLock({ $0.recorded.insert(group).inserted }) else { continue }
                    tasks.addTask { await self.serveRecorded(group) }
                }
            }
        }
    }

    /// Serves such a group until it is removed, or changed; what can't be mended by waiting must not end the others.
    private func serveRecorded(_ group: Group) async {
        do {
            try await serve(SinkDefinition(recorded: group))
        } catch {
            let reason = LogError(anyOf: error)?.message ?? "\(error)"
            logger.error("group \(group) is not served: \(reason)")
            // Whoever mends it should not have to start all anew.
            let given = await definitions()?.first { $0.group == group }?.definition
            for _ in 0..<30 {
                guard await isGoingOn() else { return }
                if let now = await definitions(), now.first(where: { $0.group == group })?.definition != given { break }
            }
        }
        _ = state.withLock { $0.recorded.remove(group) }
    }

    /// Stops a group's worker when the log says something else of it.
    ///
    /// - Returns: Whether it does, and the group is still there.
    func watch(_ worker: GroupWorker, _ sink: SinkDefinition, _ definition: GroupDefinition) async -> Bool {
        guard sink.isRecorded || sink.group == .delivery else { return false }
        while await isGoingOn() {
            guard let known = await definitions() else { continue }
            let now = known.first { $0.group == sink.group }?.definition
            guard now != definition else { continue }
            logger.info("group \(sink.group) was \(now == nil ? "removed" : "changed")")
            worker.stop()
            return now != nil
        }
        return false
    }

    /// Waits a moment; false when it is to stop.
    private func isGoingOn() async -> Bool {
        let end = ContinuousClock.now.advanced(by: Self.pause)
        while ContinuousClock.now < end {
            if interrupt.isSignalled { return false }
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return false }
        }
        return !interrupt.isSignalled
    }

    /// The log's groups; nil while it can't be asked.
    private func definitions() async -> [(group: Group, definition: GroupDefinition)]? {
        do {
            return try await CommandLane("groups").run { _ in
                let redis = try self.servers.redis(interrupt: self.interrupt)
                guard try redis.identity(self.servers.keys) != nil else { return nil }
                return try redis.groupDefinitions(self.servers.keys)
            }
        } catch { return nil }
    }
}
