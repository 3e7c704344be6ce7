/// Every bound of the log, each with its reason.
package enum Limits {
    /// `id`, `order`, `shop` and SKU, in bytes: long enough for a URL-like ID, short enough to index.
    package static let nameBytes = 1...128
    /// The how manieth return of its order one can be.
    package static let returnNumber = 1...999_999
    /// A SKU of a log of a format before ``LogFormat/names``, in bytes.
    package static let plainSKUBytes = 1...64
    /// Lines of a change: keeps an entry, and the scripts that apply it, small.
    package static let lines = 1...100
    /// What a line orders, receives or gives back.
    package static let quantity: ClosedRange<Int64> = 1...1_000_000
    /// What a count may find: below 2^53, so that Lua's numbers hold it exactly with room to spare.
    package static let countedQuantity: ClosedRange<Int64> = 0...1_000_000_000_000
    /// A customer, in bytes of UTF-8.
    package static let customerBytes = 1...256
    /// `attributes`, in bytes.
    package static let attributesBytesMax = 16 * 1024
    /// How deep `attributes` may nest.
    package static let attributesDepthMax = 32
    /// A number's exponent in `attributes`: what a double reaches, far within Postgres's numeric.
    package static let attributesExponentMax = 308
    /// Digits behind a number's decimal point in `attributes`, its exponent counted in: Postgres's numeric ends there.
    package static let attributesScaleMax = 16_383
    /// Fields of an entry that are worth keeping when it is set aside; more are cut, and it stays unapplicable.
    package static let deadLetterFieldsMax = 64
    /// Bytes of one name or value kept of an entry that is set aside.
    ///
    /// Above every limit, so a cut one stays invalid.
    package static let deadLetterValueBytesMax = 32 * 1024
    /// Partitions of a log: each costs a few keys and a row, and a worker looks at all of them.
    package static let partitions = 1...1024
    /// Entries that one read hands to a worker, over all its partitions.
    ///
    /// With the largest entries: 25 MB.
    package static let readEntriesMax = 1000
    /// Changes that one call of the append script takes: a few milliseconds of the server's only thread.
    package static let appendChangesMax = 500
    /// A line of NDJSON or a row of CSV: attributes, a hundred lines, and room.
    package static let inputLineBytesMax = 256 * 1024
    /// Orders of a CSV that are read ahead, to find rows of one order that don't follow each other: a few MB.
    package static let inputOrdersAheadMax = 8 * 1024
    /// The same in bytes of input.
    package static let inputBytesAheadMax = 2 << 20
    /// Orders of an export that are read ahead, so that rows of one needn't stand together.
    package static let exportOrdersAheadMax = 256 * 1024
    /// The same in bytes of input; with what is made of them some 300 MB.
    package static let exportBytesAheadMax = 64 << 20
    /// Changes of a submission that are read, and have no receipt yet.
    ///
    /// Two calls for each of a dozen partitions; a few MB.
    package static let submitChangesMax = 16 * 1024
    /// The same in bytes of input, for changes with large attributes.
    package static let submitBytesMax = 4 << 20
}
