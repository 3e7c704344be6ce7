package import OrderLog

/// Is told what a worker's sessions do, on the threads that do it: for metrics.
package protocol WorkerObserver: Sendable {
    /// A store has taken a batch.
    ///
    /// - Parameters:
    ///   - batch: What it applied or set aside.
    ///   - duration: How long its one step took.
    func applied(_ batch: Batch, in duration: Duration)

    /// A partition was taken over.
    ///
    /// - Parameters:
    ///   - reclaimed: How many entries were pending with the former holder.
    ///   - duration: How long it took, what was reclaimed applied.
    func tookOver(reclaimed: Int, in duration: Duration)

    /// A partition's log was opened, behind a restart of its server say.
    func opened()
}
