/// What somebody may do over HTTP.
package enum Role: String, Codable, Sendable, CaseIterable, Comparable {
    /// Append changes.
    case submit
    /// See everything.
    case read
    /// Both, and act: retry and drop dead letters.
    case operate

    /// Whether who has this role may do what needs the other.
    package func covers(_ needed: Role) -> Bool { self == .operate || self == needed }

    package static func < (left: Role, right: Role) -> Bool {
        (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
    }
}
