import Foundation
public import Inspection
import OrderLog
import Reports

/// An audit's verdict, and the numbers behind it.
public struct AuditReport: Sendable, Equatable, Encodable {
    /// What is to be said of all together.
    public enum Verdict: String, Sendable, Encodable {
        /// Everything was compared, and every sink holds what the log says, or a settled incident explains why not.
        case agree
        /// Something differs, and nothing explains it.
        case disagree
        /// Nothing that was compared differs, and not everything could be: a server was away, or a partition closed.
        case inconclusive
    }

    /// How much of a subject was compared, and how much of it differs.
    public struct Line: Sendable, Equatable, Encodable {
        /// What was compared.
        public let subject: AuditSubject
        /// How much of it was compared.
        public let compared: Int
        /// How much of it differs.
        public let different: Int
    }

    /// An incident, and how many differences it explains.
    public struct Settled: Sendable, Equatable, Encodable {
        /// What was settled.
        public let incident: Incident
        /// How many differences it explains.
        public let differences: Int
    }

    /// The contract.
    public let schema = "onewrite/audit/v1"
    /// What is to be said of all together.
    public let verdict: Verdict
    /// Why nothing can be said of something: a partition whose log is closed, a server that went away.
    public let inconclusive: [String]
    /// How many partitions the log has.
    public let partitions: Int
    /// Every subject, with its numbers.
    public let subjects: [Line]
    /// How many differences it explains.
    public let differences: [AuditDifference]
    /// Dead letters that tell why sinks differ: the first of them.
    public let explained: [AuditExplanation]
    /// How many there are.
    public let explainedTotal: Int
    /// Incidents that people have settled, as far as something differs there.
    public let settled: [Settled]
    /// How many differences incidents explain.
    public let settledTotal: Int
    /// How long it took.
    public let seconds: Double

    private enum CodingKeys: String, CodingKey {
        case schema, verdict, inconclusive, partitions, subjects, differences, explained, settled, seconds
        case explainedTotal = "explained_total"
        case settledTotal = "settled_total"
    }

    /// Judges: a difference that was proved counts more than what could not be looked at.
    package init(_ findings: AuditFindings, partitions: Int, inconclusive: [String], took duration: Duration) {
        let lines = AuditSubject.allCases.map {
            Line(
                subject: $0, compared: findings.compared[$0, default: 0], different: findings.different[$0, default: 0])
        }
        verdict =
            lines.contains { $0.different > 0 } ? .disagree : inconclusive.isEmpty ? .agree : .inconclusive
        self.inconclusive = inconclusive
        self.partitions = partitions
        subjects = lines
        differences = findings.differences
        explained = findings.explained
        explainedTotal = findings.explainedCount
        settled = findings.settled.sorted { $0.key < $1.key }.map {
            Settled(incident: findings.incidents[$0.key], differences: $0.value)
        }
        settledTotal = findings.settled.values.reduce(0, +)
        seconds = (duration / .milliseconds(1)).rounded() / 1000
    }
}
