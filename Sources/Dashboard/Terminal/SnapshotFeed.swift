import Reports
import Synchronization

/// Carries questions from the dashboard's thread to the task that takes snapshots, and the answers back.
///
/// One question is under way at a time, so neither side can fill up.
final class SnapshotFeed: Sendable {
    let pipe: DashboardPipe
    private let queries: AsyncStream<PendingQuery>
    private let continuation: AsyncStream<PendingQuery>.Continuation
    private let answer = Mutex<Result<Snapshot, Snapshot.Unavailable>?>(nil)
    private let stopped = Atomic(false)

    init() throws(DashboardError) {
        pipe = try DashboardPipe()
        (queries, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Asks for a snapshot; the answer wakes the pipe.
    func ask(_ query: PendingQuery) {
        continuation.yield(query)
    }

    /// The answer that came, once.
    func takeAnswer() -> Result<Snapshot, Snapshot.Unavailable>? {
        answer.withLock { answer in
            defer { answer = nil }
            return answer
        }
    }

    /// Ends the dashboard and the answering.
    func stop() {
        stopped.store(true, ordering: .sequentiallyConsistent)
        continuation.finish()
        pipe.wake()
    }

    var isStopped: Bool { stopped.load(ordering: .sequentiallyConsistent) }

    /// Answers questions until ``stop()``, or until cancelled.
    func answer(with takeSnapshot: @Sendable (PendingQuery) async throws -> Snapshot) async {
        for await query in queries {
            let result: Result<Snapshot, Snapshot.Unavailable>
            do {
                result = .success(try await takeSnapshot(query))
            } catch {
                if Task.isCancelled { return }
                result = .failure(error as? Snapshot.Unavailable ?? Snapshot.Unavailable(error: "\(error)"))
            }
            answer.withLock { $0 = result }
            pipe.wake()
        }
    }
}
