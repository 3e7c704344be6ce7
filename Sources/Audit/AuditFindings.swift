package import Inspection
package import OrderLog

/// What an audit compares.
public enum AuditSubject: String, Sendable, CaseIterable, Encodable {
    /// The entries in the log against the ledger's rows and dead letters.
    case log
    /// The ledger and the dead letters: every seq once, up to the position.
    case ledger
    /// The orders in Postgres against the ledger: which there are, whose, and in which status.
    case orders
    /// The orders' lines in Postgres against the ledger's.
    case orderLines = "order-lines"
    /// The stock in Postgres against the sum of the changes.
    case stockInPostgres = "stock-in-postgres"
    /// The stock counters in Redis against the sum of the changes.
    case stockInRedis = "stock-in-redis"
    /// Where admission is on: what may be sold against the stock in Redis and what the log has behind it.
    case available
    /// The jobs that wait in Redis for the delivery service against the changes.
    case deliveries
    /// The sinks' positions against the log: none is beyond its last seq.
    case positions

    /// Its name for people.
    public var title: String {
        switch self {
        case .log, .ledger, .orders, .deliveries, .positions: rawValue
        case .orderLines: "order lines"
        case .stockInPostgres: "stock in Postgres"
        case .stockInRedis: "stock in Redis"
        case .available: "available to sell"
        }
    }
}

/// One thing that is in a sink, or in the log, and isn't what it must be.
public struct AuditDifference: Sendable, Encodable, Equatable {
    /// What was compared.
    public let subject: AuditSubject
    /// The partition that it is in.
    public let partition: Int?
    /// Its seq.
    public let seq: Int64?
    /// What differs: `main ord-7`, `main TEA-250`.
    public let name: String
    /// What had to be there.
    public let expected: String
    /// What is there.
    public let found: String
}

/// A dead letter that was set aside by hand in some sinks, and so tells why they differ from the others.
public struct AuditExplanation: Sendable, Encodable, Equatable {
    /// The partition that it is in.
    public let partition: Int
    /// Its seq.
    public let seq: Int64
    /// Its name.
    public let name: String
    /// The groups that set it aside; the others applied it.
    public let groups: [String]
}

/// What was compared, and what of it differs: the first of each subject, and how many there are.
package struct AuditFindings {
    /// How many differences of each subject are kept.
    package let limit: Int
    /// What people have settled: it counts as agreed.
    package let incidents: [Incident]
    /// How many differences each of them explains.
    private(set) var settled: [Int: Int] = [:]
    private(set) var compared: [AuditSubject: Int] = [:]
    private(set) var different: [AuditSubject: Int] = [:]
    private(set) var differences: [AuditDifference] = []
    private(set) var explained: [AuditExplanation] = []
    private(set) var explainedCount = 0

    package init(limit: Int, incidents: [Incident] = []) {
        self.limit = limit
        self.incidents = incidents
    }

    package mutating func count(_ subject: AuditSubject, _ number: Int = 1) {
        compared[subject, default: 0] += number
    }

    /// Takes a difference in; one at a place that a person has settled, in one of the groups that could have met it, is none.
    package mutating func differ(
        _ subject: AuditSubject, in partition: Int?, at seq: Int64? = nil, _ name: String, expected: String,
        found: String, settledIn groups: [Group] = []
    ) {
        if let partition, let seq,
            let index = incidents.firstIndex(where: { $0.settles(seq, in: partition, of: groups) })
        {
            settled[index, default: 0] += 1
            return
        }
        different[subject, default: 0] += 1
        guard different[subject, default: 0] <= limit else { return }
        differences.append(
            AuditDifference(
                subject: subject, partition: partition, seq: seq, name: name, expected: expected, found: found))
    }

    package mutating func explain(_ explanation: AuditExplanation) {
        explainedCount += 1
        if explained.count < limit { explained.append(explanation) }
    }

    /// Takes what was found elsewhere in.
    package mutating func add(_ other: AuditFindings) {
        compared.merge(other.compared, uniquingKeysWith: +)
        for difference in other.differences where kept(difference.subject) < limit { differences.append(difference) }
        different.merge(other.different, uniquingKeysWith: +)
        settled.merge(other.settled, uniquingKeysWith: +)
        explained += other.explained.prefix(limit - explained.count)
        explainedCount += other.explainedCount
    }

    private func kept(_ subject: AuditSubject) -> Int {
        differences.count { $0.subject == subject }
    }
}
