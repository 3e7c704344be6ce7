/// Runs jobs in the order in which they came, on the thread that calls ``drain()``.
///
/// One thread enqueues and runs everything, so nothing is locked: that thread is the one that owns the simulation.
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
            job.runSynchronously(on: asUnownedSerialExecutor())
        }
        jobs.removeAll(keepingCapacity: true)
        next = 0
    }

    func checkIsolated() {}

    func isIsolatingCurrentContext() -> Bool? { true }
}
