package import OrderLog

/// Compares the delivery list with the jobs that the log gives, one after the other.
package struct DeliveryCheck {
    private let partition: Partition
    private let position: Seq
    private let taken: Set<Seq>
    /// Rising, each seq once.
    private var jobs: [(seq: Int64, job: DeliveryList.Job)] = []
    private var at = 0

    /// Finds what is wrong with the list by itself: jobs twice, out of order, or none of ours.
    ///
    /// - Parameters:
    ///   - list: What is there.
    ///   - end: Its last seq, where jobs go to another store since; nil otherwise.
    ///   - partition: Where.
    ///   - taken: What a person took.
    ///   - findings: Takes what is wrong.
    package init(
        _ list: DeliveryList, endingAt end: Seq? = nil, in partition: Partition, taken: Set<Seq>,
        _ findings: inout AuditFindings
    ) {
        self.partition = partition
        position = min(list.seq, end ?? list.seq)
        self.taken = taken
        guard let found = list.jobs else {
            findings.differ(
                .deliveries, in: partition.number, "the list", expected: "a list of jobs", found: "something else")
            return
        }
        findings.count(.deliveries, found.count)
        jobs.reserveCapacity(found.count)
        for (index, job) in found.enumerated() {
            guard let seq = job.seq else {
                findings.differ(
                    .deliveries, in: partition.number, "job \(index + 1) of the list", expected: "a job of Onewrite",
                    found: "something else")
                continue
            }
            if let last = jobs.last, seq <= last.seq {
                findings.differ(
                    .deliveries, in: partition.number, at: seq, "job \(index + 1) of the list",
                    expected: "one above seq \(last.seq), the job before it",
                    found: seq == last.seq ? "the same again" : "seq \(seq)",
                    settledIn: seq == last.seq ? [] : [.delivery])
                continue
            }
            jobs.append((seq, job))
        }
    }

    /// Takes the next change of the log.
    package mutating func next(_ change: Change, at seq: Seq, _ findings: inout AuditFindings) {
        guard let first = jobs.first?.seq, seq.number >= first, seq <= position, !taken.contains(seq) else { return }
        skip(below: seq.number, &findings)
        let entry = Batch.Applied(id: .zero, place: Place(epoch: Epoch(1), seq: seq), change: change)
        guard let json = DeliveryJob.json(for: entry, in: partition) else { return }
        let name = "\(change.shop) \(change.order ?? change.id)"
        guard at < jobs.count, jobs[at].seq == seq.number else {
            findings.differ(
                .deliveries, in: partition.number, at: seq.number, name, expected: "its job", found: "none",
                settledIn: [.delivery])
            return
        }
        if jobs[at].job != DeliveryList.Job(json) {
            findings.differ(
                .deliveries, in: partition.number, at: seq.number, name, expected: "the job that the log gives",
                found: "one with other contents", settledIn: [.delivery])
        }
        at += 1
    }

    /// Ends behind the last entry.
    package mutating func finish(_ findings: inout AuditFindings) {
        skip(below: .max, &findings)
    }

    private mutating func skip(below seq: Int64, _ findings: inout AuditFindings) {
        while at < jobs.count, jobs[at].seq < seq {
            findings.differ(
                .deliveries, in: partition.number, at: jobs[at].seq, "a job of seq \(jobs[at].seq)",
                expected: jobs[at].seq > position.number ? "none above the position \(position)" : "none", found: "one")
            at += 1
        }
    }
}
