/// An entry as the ledger keeps it, for putting it back into a log that lost it.
package struct LedgerEntry: Hashable, Sendable {
    package let seq: Seq
    /// Names and values behind `epoch` and `seq`, byte for byte.
    package let fields: [EntryField]
    /// What makes appending it idempotent; nil for a dead letter that is no change.
    package let change: AppendedChange?
    /// Where it lies in the log, or lay when the log lost it; nil when nobody said.
    package let location: EntryLocation?

    package init(seq: Seq, fields: [EntryField], change: AppendedChange?, location: EntryLocation? = nil) {
        self.seq = seq
        self.fields = fields
        self.change = change
        self.location = location
    }

    /// The entry as if it were read from the log, for a sink that the log can't give it to any more.
    package func entry(in epoch: Epoch) -> Entry {
        var decoder = EntryDecoder()
        let whole = [EntryField(epoch, named: "epoch"), EntryField(seq, named: "seq")] + fields
        for field in whole {
            field.name.withUnsafeBytes { name in field.value.withUnsafeBytes { decoder.add(name: name, value: $0) } }
        }
        return decoder.finish(id: .zero, rawFields: { whole })
    }

    /// Makes one of a dead letter's fields: a change that was set aside by hand is known by its ID, too.
    package init(seq: Seq, deadLetter fields: [EntryField], location: EntryLocation? = nil) {
        var decoder = EntryDecoder()
        for field in fields {
            field.name.withUnsafeBytes { name in field.value.withUnsafeBytes { decoder.add(name: name, value: $0) } }
        }
        let change: AppendedChange? =
            if case .change(let change) = decoder.finish(id: .zero, rawFields: { [] }).content {
                AppendedChange(change)
            } else { nil }
        let own = fields.drop { $0.name.elementsEqual("epoch".utf8) || $0.name.elementsEqual("seq".utf8) }
        self.init(seq: seq, fields: Array(own), change: change, location: location)
    }
}

/// How the idempotency window knows a change.
package struct AppendedChange: Hashable, Sendable {
    /// Shop and change ID, with a blank between; those within them are encoded.
    package let name: String
    package let digest: String

    package init(shop: String, id: String, digest: String) {
        name = NameEncoding.windowName(shop: shop, id: id)
        self.digest = digest
    }

    package init(_ change: Change) {
        self.init(shop: change.shop, id: change.id, digest: Digest(of: change).description)
    }
}

/// Where an entry lies in the log.
package struct EntryLocation: Hashable, Sendable {
    package let place: Place
    package let entry: EntryID

    package init(place: Place, entry: EntryID) {
        self.place = place
        self.entry = entry
    }
}
