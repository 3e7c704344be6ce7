/// Whether what a user may do is what one role does, or several: less than everything on purpose, then.
enum RoleFit {
    /// Decides.
    ///
    /// - Parameter rights: For each thing that is done, who does it, a letter each, and whether this user may.
    /// - Returns: Whether the user may do exactly what all roles do that it may play in full.
    static func fits(_ rights: [(by: String, isPermitted: Bool)]) -> Bool {
        let roles = Set(rights.flatMap(\.by)).filter { role in
            rights.allSatisfy { $0.isPermitted || !$0.by.contains(role) }
        }
        return !roles.isEmpty && rights.allSatisfy { !$0.isPermitted || $0.by.contains(where: roles.contains) }
    }
}
