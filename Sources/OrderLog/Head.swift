/// A partition's own record in the log.
package struct Head: Hashable, Sendable {
    package let epoch: Epoch
    package let seq: Seq
    /// The server's replid under which the partition was opened; empty while it is shut.
    package let replid: String
    package let partitions: Int?
    /// The log's random ID, which `init` made.
    package let log: String
    /// The first seq that trimming has left: an entry below it isn't missed.
    package let first: Seq

    package init(
        epoch: Epoch, seq: Seq, replid: String, partitions: Int?, log: String, first: Seq = Seq(1)
    ) {
        self.epoch = epoch
        self.seq = seq
        self.replid = replid
        self.partitions = partitions
        self.log = log
        self.first = first
    }

    package var place: Place { Place(epoch: epoch, seq: seq) }
}

/// One atomic look at a partition's head and the server that holds it.
package struct LogLook: Hashable, Sendable {
    /// The server's present `master_replid`.
    package let replid: String
    package let isMaster: Bool
    /// nil when there is no log.
    package let head: Head?

    package init(replid: String, isMaster: Bool, head: Head?) {
        self.replid = replid
        self.isMaster = isMaster
        self.head = head
    }

    /// The log's history when the head was opened under this very server's replid; nil while it is closed.
    package var history: History? {
        guard let head, isMaster, head.replid == replid else { return nil }
        return History(epoch: head.epoch, replid: replid)
    }
}

/// What a log's `init` settled, the same in Redis and in Postgres.
package struct LogIdentity: Sendable {
    package let partitioning: Partitioning
    /// A random ID.
    package let log: String
    /// The format that the log had in the store that was asked.
    ///
    /// It rises while a process runs, and in the middle of an upgrade the stores differ: two identities are equal without it.
    package let format: LogFormat

    package init(partitioning: Partitioning, log: String, format: LogFormat = LogFormat.supported.upperBound) {
        self.partitioning = partitioning
        self.log = log
        self.format = format
    }
}

extension LogIdentity: Hashable {
    package static func == (left: LogIdentity, right: LogIdentity) -> Bool {
        left.partitioning == right.partitioning && left.log == right.log
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(partitioning)
        hasher.combine(log)
    }
}
