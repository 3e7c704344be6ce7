/// One name and value of an entry, byte for byte.
package struct EntryField: Hashable, Sendable {
    package let name: [UInt8]
    package let value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }

    init(_ value: some CustomStringConvertible, named name: String) {
        self.init(name: Array(name.utf8), value: Array(value.description.utf8))
    }
}

/// A change in the log, as it was read.
///
/// Anybody can add an entry by hand, so everything in it was checked again when this value was made. Whether an entry
/// can be applied depends on its fields alone: every sink comes to the same answer.
package struct Entry: Hashable, Sendable {
    /// What an entry holds.
    package enum Content: Hashable, Sendable {
        case change(Change)
        /// Fields that no sink applies, and why.
        case unusable(Quarantine, fields: [EntryField])
    }

    package let id: EntryID
    /// Where its fields `epoch` and `seq` place it; nil when they are no numbers: it was added by hand.
    package let place: Place?
    package let content: Content

    package init(id: EntryID, place: Place?, content: Content) {
        self.id = id
        self.place = place
        self.content = content
    }

    /// The entry's fields in the log's order, for setting it aside.
    package var fields: [EntryField] {
        switch content {
        case .unusable(_, let fields): fields
        case .change(let change): Self.placeFields(place) + change.fields
        }
    }

    private static func placeFields(_ place: Place?) -> [EntryField] {
        guard let place else { return [] }
        return [EntryField(place.epoch, named: "epoch"), EntryField(place.seq, named: "seq")]
    }
}

extension Change {
    /// The change's own fields as the log holds them, `type` first; `epoch` and `seq` go before them.
    package var stringFields: [(name: String, value: String)] {
        var fields = [("type", kind.rawValue), ("id", id), ("shop", shop)]
        if let customer { fields.append(("customer", customer)) }
        if let order { fields.append(("order", order)) }
        fields.append(("lines", lines.text))
        if let attributes { fields.append(("attributes", attributes)) }
        return fields
    }

    var fields: [EntryField] {
        stringFields.map { EntryField(name: Array($0.name.utf8), value: Array($0.value.utf8)) }
    }
}

/// Why an entry is set aside instead of applied.
package struct Quarantine: Hashable, Sendable {
    /// The kind of reason: people filter by it.
    package enum Reason: String, Sendable {
        /// It is not where the log would have put it.
        case addedByHand = "added-by-hand"
        /// Its fields are not a change within the limits.
        case invalid
        /// A person took it out of a sink's way.
        case taken
        /// The store refused it, in a way that its group's settings say to set aside.
        case refused
    }

    package let reason: Reason
    /// What is wrong, for people.
    package let error: String

    package init(_ reason: Reason, _ error: String) {
        self.reason = reason
        self.error = error
    }

    /// For whatever has no place, or one that the log didn't give it.
    package static let addedByHand = Quarantine(
        .addedByHand, "it has no place in the log: it was not appended by Onewrite")
}
