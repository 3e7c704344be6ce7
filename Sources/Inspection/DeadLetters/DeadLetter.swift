package import OrderLog

/// An entry that one or more groups have set aside.
package struct DeadLetter: Sendable {
    /// Why an entry is among them: what letters are chosen by.
    package enum Reason: String, CaseIterable, Sendable {
        case invalid
        case addedByHand = "added-by-hand"
        case taken
        /// The store refused it, as its group's settings say.
        case refused
        /// Somebody put it among the dead letters, in no form that a sink writes.
        case unreadable
    }

    /// What one group recorded.
    package struct Part: Sendable {
        /// Where its record is.
        package enum Record: Sendable {
            /// In the group's stream of dead letters, under this ID.
            case stream(id: String)
            /// In Postgres, with the epoch under which it was set aside.
            case row(epoch: Int64)
        }

        package let group: Group
        /// nil while nothing is recorded.
        package let record: Record?
        package let reason: String
        package let error: String
        /// When it was set aside, in milliseconds since 1970 by that server's clock.
        package let milliseconds: Int
        package let resolution: Resolution?

        package init(
            group: Group, record: Record?, reason: String, error: String, milliseconds: Int, resolution: Resolution?
        ) {
            (self.group, self.record, self.reason, self.error) = (group, record, reason, error)
            (self.milliseconds, self.resolution) = (milliseconds, resolution)
        }
    }

    package let partition: Partition
    /// The place over which the positions advanced; nil for an entry that was added by hand.
    package let seq: Seq?
    /// The entry's stream ID, as it was when it was set aside.
    package let entry: String
    package let fields: [EntryField]
    /// What the fields say now: a newer program may take what an older one couldn't.
    package let content: Entry.Content
    /// The place that the fields claim, also when the log didn't give it.
    package let claimed: Place?
    package var parts: [Part]

    package init(partition: Partition, seq: Seq?, entry: String, fields: [EntryField], parts: [Part]) {
        var decoder = EntryDecoder()
        for field in fields {
            field.name.withUnsafeBytes { name in
                field.value.withUnsafeBytes { decoder.add(name: name, value: $0) }
            }
        }
        let decoded = decoder.finish(id: EntryID(entry) ?? .zero) { fields }
        (self.partition, self.seq, self.entry, self.fields) = (partition, seq, entry, fields)
        (self.content, self.claimed, self.parts) = (decoded.content, decoded.place, parts)
    }

    /// `5:118`, or `5:1763905351204-0` for an entry that was added by hand.
    package var id: String { "\(partition):\(seq?.description ?? entry)" }

    package var isResolved: Bool { parts.allSatisfy { $0.resolution != nil } }

    /// Where it has been appended again, as far as that is recorded.
    package var retried: Resolution? { parts.lazy.compactMap(\.resolution).first { $0.outcome == .retried } }

    package var groups: [Group] { parts.map(\.group) }

    /// A field's value, as far as it is text.
    package func text(_ name: String) -> String? {
        fields.first { $0.name.elementsEqual(name.utf8) }.map { String(decoding: $0.value, as: UTF8.self) }
    }

    /// Whether a person may have meant this letter: by its ID, the entry's, or the change's.
    package func isNamed(_ name: String) -> Bool {
        name == id || name == entry || name == "\(partition):\(entry)" || name == text("id")
    }
}
