import Serving

/// Who asks, and what they may do.
struct Identity: Sendable, Equatable {
    /// What the token is called; nil where nobody needs one.
    let name: String?
    let roles: [Role]

    /// Everybody, where no tokens are set.
    static let anybody = Identity(name: nil, roles: Role.allCases)
    static let nobody = Identity(name: nil, roles: [])

    init(name: String?, roles: [Role]) {
        (self.name, self.roles) = (name, roles)
    }

    init(_ entry: TokenFile.Entry) {
        self.init(name: entry.name, roles: Role.allCases.filter(entry.role.covers))
    }

    func may(_ role: Role) -> Bool { roles.contains(role) }
}
