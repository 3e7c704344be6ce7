/// Runs jobs in the order in which they came, on the thread that calls ``drain()``.
///
/// A task that waited for a continuation comes back through its preferred executor, not through its actor's: this is both, so
/// that no other thread takes part. One thread enqueues and runs everything, so nothing is locked: that thread is the one that owns the simulation.
final class StageExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private var jobs: [UnownedJob] = []
    private var next = 0

    func enqueue(_ job: consuming ExecutorJob) {
        jobs.append(UnownedJob(job))
    }

    func drain() {
        while next < jobs.count {
            let job = jobs[next]
            next += 1
            job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
        }
        jobs.removeAll(keepingCapacity: true)
        next = 0
    }

    func checkIsolated() {}

    func isIsolatingCurrentContext() -> Bool? { true }
}
