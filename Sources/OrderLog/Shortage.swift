/// A SKU of an order that wasn't admitted: more of it is wanted than may still be sold.
public struct Shortage: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// The SKU.
    public let sku: String
    /// How many the order wants.
    public let wanted: Int64
    /// How many may still be sold: stock as it will be when all that is in the log is applied.
    ///
    /// Below zero after backorders.
    public let available: Int64

    package init(sku: String, wanted: Int64, available: Int64) {
        (self.sku, self.wanted, self.available) = (sku, wanted, available)
    }

    /// Reads `TEA-250:3:1`, the SKU encoded as in `lines`.
    package init?(word: UnsafeRawBufferPointer.SubSequence) {
        let parts = word.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map { Array($0) }
        guard parts.count == 3, let wanted = Int64(String(decoding: parts[1], as: UTF8.self)),
            let available = Int64(String(decoding: parts[2], as: UTF8.self))
        else { return nil }
        let name = parts[0]
        guard let sku = NameEncoding.decoded(name.span) else { return nil }
        self.init(sku: sku, wanted: wanted, available: available)
    }

    /// For people: `TEA-250: 3 wanted, 1 available`.
    public var description: String {
        "\(FieldError.shown(sku)): \(FieldError.spaced(wanted)) wanted, \(FieldError.spaced(available)) available"
    }
}
