/// The layout of keys and tables that a log has: `version` in `onewrite:meta` and in Postgres's table `meta`.
///
/// A program serves every format that it supports, so that workers are replaced one by one; `onewrite upgrade` then brings the
/// log to the newest.
package struct LogFormat: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let number: Int

    package init(_ number: Int) { self.number = number }

    /// The formats that this program serves; what each of them brought is in `Migration`.
    package static let supported = LogFormat(1)...LogFormat(3)

    /// The first one in which a log's beginning may be missing: a program that knows only earlier ones would miss it.
    package static let trimmed = LogFormat(2)

    /// The first one whose names are UTF-8: a program that knows only earlier ones would set their entries aside.
    package static let names = LogFormat(3)

    package var description: String { String(number) }

    package static func < (left: LogFormat, right: LogFormat) -> Bool { left.number < right.number }
}
