import Glibc

/// Makes an ``Entry`` of the names and values of a stream entry, in one pass over their bytes.
package struct EntryDecoder {
    private var draft = ChangeDraft(type: "")
    private var hasType = false
    private var epoch: Int64?
    private var seq: Int64?
    private var problem: Quarantine?

    package init() {}

    /// Takes the next field.
    ///
    /// - Parameters:
    ///   - name: The field's name, any bytes.
    ///   - value: The field's value, any bytes.
    package mutating func add(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        if problem != nil { return }
        guard let text = String(exactly: value) else {
            problem = Quarantine(.invalid, "\(Self.quote(name)): is not UTF-8")
            return
        }
        guard let field = Field(name) else {
            problem = Quarantine(.invalid, "\(Self.quote(name)): is not a field of any change")
            return
        }
        let isRepeated: Bool
        switch field {
        case .epoch: isRepeated = Self.setNumber(&epoch, text)
        case .seq: isRepeated = Self.setNumber(&seq, text)
        case .type:
            isRepeated = hasType
            hasType = true
            draft.type = text
        case .id: isRepeated = Self.set(&draft.id, text)
        case .shop: isRepeated = Self.set(&draft.shop, text)
        case .customer: isRepeated = Self.set(&draft.customer, text)
        case .order: isRepeated = Self.set(&draft.order, text)
        case .attributes: isRepeated = Self.set(&draft.attributes, text)
        case .lines:
            isRepeated = draft.lines != .missing
            draft.lines = .text(text)
        }
        if isRepeated { problem = Quarantine(.invalid, "\(Self.quote(name)): is there twice") }
    }

    /// Ends the entry.
    ///
    /// - Parameters:
    ///   - id: The entry's stream ID.
    ///   - rawFields: Reads all fields again, cut to ``Limits``; called only when the entry can't be applied.
    /// - Returns: The entry, with a change or with what keeps it from being one.
    package consuming func finish(id: EntryID, rawFields: () -> [EntryField]) -> Entry {
        let place: Place? =
            if let epoch, let seq, epoch > 0, seq > 0 { Place(epoch: Epoch(epoch), seq: Seq(seq)) } else { nil }
        let quarantine: Quarantine
        if let problem {
            quarantine = problem
        } else if !hasType {
            quarantine = Quarantine(.invalid, "type: is missing")
        } else {
            do throws(FieldError) {
                return Entry(id: id, place: place, content: .change(try Change(draft)))
            } catch {
                quarantine = Quarantine(.invalid, error.description)
            }
        }
        return Entry(id: id, place: place, content: .unusable(quarantine, fields: rawFields()))
    }

    private enum Field {
        case epoch, seq, type, id, shop, customer, order, lines, attributes

        /// By length and first byte: this runs ten times an entry.
        init?(_ name: UnsafeRawBufferPointer) {
            let field: (Field, StaticString)
            switch (name.count, name.first) {
            case (5, UInt8(ascii: "e")): field = (.epoch, "epoch")
            case (3, UInt8(ascii: "s")): field = (.seq, "seq")
            case (4, UInt8(ascii: "t")): field = (.type, "type")
            case (2, UInt8(ascii: "i")): field = (.id, "id")
            case (4, UInt8(ascii: "s")): field = (.shop, "shop")
            case (8, UInt8(ascii: "c")): field = (.customer, "customer")
            case (5, UInt8(ascii: "o")): field = (.order, "order")
            case (5, UInt8(ascii: "l")): field = (.lines, "lines")
            case (10, UInt8(ascii: "a")): field = (.attributes, "attributes")
            default: return nil
            }
            guard field.1.withUTF8Buffer({ $0.elementsEqual(name) }) else { return nil }
            self = field.0
        }
    }

    /// Returns whether the slot was taken.
    private static func set(_ slot: inout String?, _ text: String) -> Bool {
        defer { slot = text }
        return slot != nil
    }

    private static func setNumber(_ slot: inout Int64?, _ text: String) -> Bool {
        defer { slot = Int64(text) }
        return slot != nil
    }

    private static func quote(_ name: UnsafeRawBufferPointer) -> String {
        FieldError.quote(String(decoding: name.prefix(64), as: UTF8.self))
    }
}

extension String {
    /// The text of bytes; nil unless they are UTF-8.
    ///
    /// `String(validating:as:)` does the same at several times the cost, since it looks its generic types up each time.
    fileprivate init?(exactly bytes: UnsafeRawBufferPointer) {
        self.init(decoding: bytes, as: UTF8.self)
        // What was no UTF-8 was replaced.
        let isExact = utf8.span.withUnsafeBytes { own in
            guard let ours = own.baseAddress, let theirs = bytes.baseAddress else { return bytes.isEmpty }
            return own.count == bytes.count && memcmp(ours, theirs, own.count) == 0
        }
        if !isExact { return nil }
    }
}
