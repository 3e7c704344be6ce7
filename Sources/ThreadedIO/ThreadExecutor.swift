import CThreadedIO
import Glibc
import Synchronization

/// A serial executor on one thread of its own: a lane.
///
/// Actors that name it as their executor run on this thread only, and may block it in ``wait(for:on:until:interrupt:)``
/// without starving Swift's shared pool. Actors that share one executor call each other without changing threads.
/// The thread ends when the executor is no longer referenced; jobs already enqueued run first.
package final class ThreadExecutor: SerialExecutor {
    private let queue: JobQueue

    /// Starts the thread.
    ///
    /// - Parameter name: What a debugger and `top -H` show; the kernel keeps 15 bytes.
    package init(name: String) {
        queue = JobQueue(name: name)
        queue.start()
    }

    deinit {
        queue.close()
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        queue.push(UnownedJob(job), for: self)
    }

    package func checkIsolated() {
        precondition(queue.isOnThread, "called from outside its lane's thread")
    }

    package func isIsolatingCurrentContext() -> Bool? {
        queue.isOnThread
    }
}

/// The jobs of one thread.
///
/// Apart from the executor, so that the thread doesn't keep the executor alive.
private final class JobQueue: Sendable {
    private struct State {
        var jobs: [(job: UnownedJob, executor: ThreadExecutor)] = []
        var isClosed = false
        var thread: pthread_t?
    }

    private let name: String
    private let wake = Interrupt()
    private let state = Mutex(State())

    init(name: String) {
        self.name = name
    }

    var isOnThread: Bool {
        state.withLock { $0.thread.map { pthread_equal($0, pthread_self()) != 0 } ?? false }
    }

    func start() {
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<JobQueue>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(result == 0, "no thread left for a lane (errno \(result))")
        pthread_detach(thread)
    }

    func push(_ job: UnownedJob, for executor: ThreadExecutor) {
        state.withLock { $0.jobs.append((job, executor)) }
        wake.signal()
    }

    func close() {
        state.withLock { $0.isClosed = true }
        wake.signal()
    }

    private func run() {
        state.withLock { $0.thread = pthread_self() }
        onewrite_name_thread(name)
        blockBrokenPipes()
        while true {
            wake.clear()
            let (jobs, isClosed) = state.withLock { state in
                defer { state.jobs.removeAll() }
                return (state.jobs, state.isClosed)
            }
            for (job, executor) in jobs {
                job.runSynchronously(on: executor.asUnownedSerialExecutor())
            }
            if jobs.isEmpty {
                if isClosed { return }
                wake.wait(until: .after(.seconds(3600)))
            }
        }
    }
}
