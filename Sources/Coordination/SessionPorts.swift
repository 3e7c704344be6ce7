package import OrderLog

/// What a lane's sessions work with: its connections, in the domain's terms.
///
/// Not Sendable; it stays on its lane.
package struct SessionPorts {
    package let identity: LogIdentity
    package let owner: WorkerName
    package let log: any LogPort
    package let sink: any Sink
    /// The sink once more when it is in one of the log's own stores.
    package let builtIn: (any BuiltInSink)?
    /// The sink once more when it is the ledger; nil for the sinks in Redis.
    package let ledger: (any Ledger)?
    /// For a sink of the user's: what the log's permanent copy holds, and where the group begins; nil for the built-in ones.
    package let past: (any LedgerPast)?
    package let definition: GroupDefinition?
    package let pacing: any Pacing
    /// Is told what the sessions do; nil when nobody counts.
    package let observer: (any WorkerObserver)?

    package init(
        identity: LogIdentity, owner: WorkerName, log: any LogPort, sink: any Sink, ledger: (any Ledger)?,
        past: (any LedgerPast)? = nil, definition: GroupDefinition? = nil, pacing: any Pacing,
        observer: (any WorkerObserver)? = nil
    ) {
        self.identity = identity
        self.owner = owner
        self.log = log
        self.sink = sink
        builtIn = sink as? any BuiltInSink
        self.ledger = ledger
        self.past = past
        self.definition = definition
        self.pacing = pacing
        self.observer = observer
    }
}

/// Time, as a lane sees it: real, or simulated.
package protocol Pacing: AnyObject {
    var now: ContinuousClock.Instant { get }

    /// Sleeps until the moment, or until somebody wakes the lane.
    func pause(until moment: ContinuousClock.Instant) async
}
