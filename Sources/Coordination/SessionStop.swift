/// Why a session of a partition ended, other than by a server's error.
package enum SessionStop: Error, Hashable, Sendable {
    /// The log is no longer in the history under which the partition was taken over.
    case historyChanged
    /// Another worker took the partition over.
    case fenced(by: String)
    /// The sink's position is not where this session left it.
    case positionMoved
    /// The lease may have run out.
    case leaseUncertain
    /// The worker is to end, in the middle of a batch that takes long.
    case stopping
    /// A person has to decide; trying again would not help.
    case halt(String)
}

extension SessionStop: CustomStringConvertible {
    package var description: String {
        switch self {
        case .historyChanged: "the log was closed or opened anew"
        case .fenced(let owner): "taken over by \(owner.isEmpty ? "another worker" : owner)"
        case .positionMoved: "the sink's position moved"
        case .leaseUncertain: "the lease may have run out"
        case .stopping: "the worker is stopping"
        case .halt(let reason): reason
        }
    }
}
