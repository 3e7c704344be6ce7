import ArgumentParser
import OrderLog

/// The groups that `--wait` names.
struct WaitGroups: ExpressibleByArgument, CustomStringConvertible {
    static let all = WaitGroups(text: Group.builtIn.map(\.name).joined(separator: ","))

    private let text: String

    private init(text: String) {
        self.text = text
    }

    init?(argument: String) {
        text = argument
    }

    var description: String { text }

    /// The groups, or why the text names none.
    func groups() throws -> [Group] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { name in
            guard let group = Group(String(name)) else {
                throw ValidationError(
                    "--wait: no group \(FieldError.quote(String(name))); expected groups' names, as in "
                        + "--wait=stock,delivery (--wait alone means all three, and stands last)")
            }
            return group
        }
    }
}
