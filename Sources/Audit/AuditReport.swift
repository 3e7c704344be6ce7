package import Inspection
import Reports
import Foundation
import OrderLog

/// An audit's verdict, and the numbers behind it.
package struct AuditReport: Encodable {
    package enum Verdict: String, Encodable {
        case agree, disagree, inconclusive
    }

    /// How much of a subject was compared, and how much of it differs.
    package struct Line: Encodable {
        package let subject: AuditSubject
        package let compared: Int
        package let different: Int
    }

    /// An incident, and how many differences it explains.
    package struct Settled: Encodable {
        package let incident: Incident
        package let differences: Int
    }

    package let schema = "onewrite/audit/v1"
    package let verdict: Verdict
    /// Why nothing can be said of something: a partition whose log is closed, a server that went away.
    package let inconclusive: [String]
    package let partitions: Int
    package let subjects: [Line]
    package let differences: [AuditDifference]
    package let explained: [AuditExplanation]
    package let explainedTotal: Int
    /// Incidents that people have settled, as far as something differs there.
    package let settled: [Settled]
    package let settledTotal: Int
    package let seconds: Double

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
