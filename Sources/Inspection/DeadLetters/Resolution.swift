import Foundation
package import OrderLog

/// What became of a dead letter, and who saw to it: recorded beside the letter, as JSON.
package struct Resolution: Codable, Sendable, Equatable {
    package enum Outcome: String, Codable, Sendable {
        /// Its change was appended again, and has a new place.
        case retried
        /// A person gave it up.
        case dropped
    }

    package let outcome: Outcome
    /// Why it was dropped.
    package let reason: String?
    /// Where its change is now.
    package let partition: Int?
    package let seq: Int64?
    package let entry: String?
    package let by: String
    /// In UTC, to the second.
    package let at: String

    package static func retried(
        in partition: Partition, _ seq: Seq, _ entry: EntryID, by person: String = Self.person
    ) -> Resolution {
        Resolution(
            outcome: .retried, reason: nil, partition: partition.number, seq: seq.number, entry: entry.description,
            by: person, at: Self.now)
    }

    package static func dropped(_ reason: String, by person: String = Self.person) -> Resolution {
        Resolution(
            outcome: .dropped, reason: reason, partition: nil, seq: nil, entry: nil, by: person, at: Self.now)
    }

    private init(
        outcome: Outcome, reason: String?, partition: Int?, seq: Int64?, entry: String?, by: String, at: String
    ) {
        (self.outcome, self.reason, self.partition, self.seq) = (outcome, reason, partition, seq)
        (self.entry, self.by, self.at) = (entry, by, at)
    }

    /// Reads what was recorded; whatever a person wrote there by hand counts as dropped for that reason.
    package init(recorded text: String) {
        do {
            self = try JSONDecoder().decode(Resolution.self, from: Data(text.utf8))
        } catch {
            self.init(outcome: .dropped, reason: text, partition: nil, seq: nil, entry: nil, by: "?", at: "?")
        }
    }

    package func recorded() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// `retried as 5:120`, `dropped: a test order`.
    package var text: String {
        switch outcome {
        case .retried: "retried as \(partition.map(String.init) ?? "?"):\(seq.map(String.init) ?? "?")"
        case .dropped: "dropped: \(reason ?? "?")"
        }
    }

    /// Who acts here: user and machine.
    package static var person: String { "\(NSUserName())@\(ProcessInfo.processInfo.hostName)" }
    private static var now: String { Date().formatted(.iso8601) }
}
