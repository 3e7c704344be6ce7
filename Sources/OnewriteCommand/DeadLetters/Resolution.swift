import Foundation
import OrderLog

/// What became of a dead letter, and who saw to it: recorded beside the letter, as JSON.
struct Resolution: Codable, Sendable, Equatable {
    enum Outcome: String, Codable, Sendable {
        /// Its change was appended again, and has a new place.
        case retried
        /// A person gave it up.
        case dropped
    }

    let outcome: Outcome
    /// Why it was dropped.
    let reason: String?
    /// Where its change is now.
    let partition: Int?
    let seq: Int64?
    let entry: String?
    let by: String
    /// In UTC, to the second.
    let at: String

    static func retried(in partition: Partition, _ seq: Seq, _ entry: EntryID) -> Resolution {
        Resolution(
            outcome: .retried, reason: nil, partition: partition.number, seq: seq.number, entry: entry.description,
            by: Self.person, at: Self.now)
    }

    static func dropped(_ reason: String) -> Resolution {
        Resolution(
            outcome: .dropped, reason: reason, partition: nil, seq: nil, entry: nil, by: Self.person, at: Self.now)
    }

    private init(
        outcome: Outcome, reason: String?, partition: Int?, seq: Int64?, entry: String?, by: String, at: String
    ) {
        (self.outcome, self.reason, self.partition, self.seq) = (outcome, reason, partition, seq)
        (self.entry, self.by, self.at) = (entry, by, at)
    }

    /// Reads what was recorded; whatever a person wrote there by hand counts as dropped for that reason.
    init(recorded text: String) {
        do {
            self = try JSONDecoder().decode(Resolution.self, from: Data(text.utf8))
        } catch {
            self.init(outcome: .dropped, reason: text, partition: nil, seq: nil, entry: nil, by: "?", at: "?")
        }
    }

    func recorded() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// `retried as 5:120`, `dropped: a test order`.
    var text: String {
        switch outcome {
        case .retried: "retried as \(partition.map(String.init) ?? "?"):\(seq.map(String.init) ?? "?")"
        case .dropped: "dropped: \(reason ?? "?")"
        }
    }

    /// Who acts here: user and machine.
    static var person: String { "\(NSUserName())@\(ProcessInfo.processInfo.hostName)" }
    private static var now: String { Date().formatted(.iso8601) }
}
