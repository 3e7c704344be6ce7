import Foundation
public import OrderLog

/// A dead letter as a line of JSON, and what a command did with it.
public struct DeadLetterRow: Encodable, Sendable {
    package let letter: DeadLetter
    /// The server's clock, in milliseconds since 1970.
    package let now: Int
    /// Whether Postgres could be asked.
    package let knowsPostgres: Bool
    package var outcome: DeadLetterOutcome?
    /// Whether the fields are shown too.
    package var isWhole = false

    package init(letter: DeadLetter, now: Int, knowsPostgres: Bool, outcome: DeadLetterOutcome? = nil) {
        (self.letter, self.now, self.knowsPostgres, self.outcome) = (letter, now, knowsPostgres, outcome)
    }

    private enum Key: String, CodingKey {
        case schema, letter, partition, seq, entry, id, type, shop, reason, error, groups, unknown, resolved
        case group, at_ms, age_ms, resolution, outcome, detail, fields, name, value, base64
    }

    /// Encodes `onewrite/dead/v1`.
    public func encode(to encoder: any Encoder) throws {
        var json = encoder.container(keyedBy: Key.self)
        try json.encode("onewrite/dead/v1", forKey: .schema)
        try json.encode(letter.id, forKey: .letter)
        try json.encode(letter.partition.number, forKey: .partition)
        try json.encode(letter.seq?.number, forKey: .seq)
        try json.encode(letter.entry, forKey: .entry)
        for (key, name) in [(Key.id, "id"), (.type, "type"), (.shop, "shop")] {
            try json.encode(letter.text(name), forKey: key)
        }
        try json.encode(letter.parts.first?.reason, forKey: .reason)
        try json.encode(letter.parts.first?.error, forKey: .error)
        try json.encode(letter.isResolved, forKey: .resolved)
        try json.encode(knowsPostgres ? [] : [Group.postgres.name], forKey: .unknown)
        var groups = json.nestedUnkeyedContainer(forKey: .groups)
        for part in letter.parts {
            var group = groups.nestedContainer(keyedBy: Key.self)
            try group.encode(part.group.name, forKey: .group)
            try group.encode(part.reason, forKey: .reason)
            try group.encode(part.error, forKey: .error)
            try group.encode(part.milliseconds, forKey: .at_ms)
            try group.encode(max(0, now - part.milliseconds), forKey: .age_ms)
            try group.encode(part.resolution, forKey: .resolution)
        }
        if let outcome {
            try json.encode(outcome.word, forKey: .outcome)
            try json.encode(outcome.detail, forKey: .detail)
        }
        guard isWhole else { return }
        var fields = json.nestedUnkeyedContainer(forKey: .fields)
        for field in letter.fields {
            var json = fields.nestedContainer(keyedBy: Key.self)
            try json.encode(String(decoding: field.name, as: UTF8.self), forKey: .name)
            // Bytes that are no text can't stand in JSON: they are there too, as they were.
            try json.encode(String(decoding: field.value, as: UTF8.self), forKey: .value)
            let isText =
                String(validating: field.name, as: UTF8.self) != nil
                && String(validating: field.value, as: UTF8.self) != nil
            try json.encode(isText ? nil : Data(field.value).base64EncodedString(), forKey: .base64)
        }
    }
}

extension DeadLetterRow {
    /// `5:118`, or `5:1763905351204-0` for an entry that was added by hand.
    public var id: String { letter.id }
    /// The partition that it is in.
    public var partition: Int { letter.partition.number }
    /// Its place in the log; nil for an entry that was added by hand.
    public var seq: Int64? { letter.seq?.number }
    /// Its stream ID, as it was when it was set aside.
    public var entry: String { letter.entry }
    /// The ID of its change; nil when it names none.
    public var change: String? { letter.text("id") }
    /// The shop of its change; nil when it names none.
    public var shop: String? { letter.text("shop") }
    /// The groups that set it aside, as far as they could be asked.
    public var groups: [Group] { letter.groups }
    /// Why the first of them did: `invalid`, `added-by-hand`, `taken`, `refused` or `unreadable`.
    public var reason: String? { letter.parts.first?.reason }
    /// The same for people.
    public var error: String? { letter.parts.first?.error }
    /// Whether it was retried or dropped.
    public var isResolved: Bool { letter.isResolved }
    /// Whether Postgres could be asked what it set aside.
    public var isPostgresKnown: Bool { knowsPostgres }
}

/// What a command did with a dead letter, or would do.
package enum DeadLetterOutcome: Sendable {
    /// Only planned: nothing was changed.
    case planned(String)
    case done(Resolution)
    /// It was resolved before, and stays so.
    case already(Resolution)
    case taken
    case refused(Refusal, String)

    /// What is in the way.
    package enum Refusal: Sendable {
        /// The letter itself: trying again gives the same.
        case never
        /// It passes.
        case notNow
    }

    package var word: String {
        switch self {
        case .planned: "planned"
        case .done(let resolution), .already(let resolution): resolution.outcome.rawValue
        case .taken: "taken"
        case .refused: "refused"
        }
    }

    package var detail: String {
        switch self {
        case .planned(let text): text
        case .done(let resolution): resolution.text
        case .already(let resolution): "\(resolution.text) (already, by \(resolution.by) at \(resolution.at))"
        case .taken: "set aside; the sink goes on behind it"
        case .refused(_, let reason): reason
        }
    }
}
