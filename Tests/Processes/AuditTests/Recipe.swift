import Foundation
import PrivateServers
import TestSupport
import Testing

/// A script in one of the pages of `docs/`, under a comment with its name: `<!-- recipe: halted-delivery -->`.
struct Recipe {
    /// As it stands in the page.
    private(set) var text: String

    /// Takes it out of its page.
    init(_ name: String, in page: String) throws {
        let lines = try String(contentsOf: Repository.root.appending(path: "docs/\(page)"), encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
        let comment = try #require(lines.firstIndex { $0 == "<!-- recipe: \(name) -->" }, "\(page) has \(name)")
        try #require(lines[comment + 1].hasPrefix("```"))
        text = lines[(comment + 2)...].prefix { !$0.hasPrefix("```") }.joined(separator: "\n") + "\n"
    }

    /// Puts other values into its first line, `p=5 first=15137 last=15138`, as a person does.
    func setting(_ values: KeyValuePairs<String, Any>) throws -> Recipe {
        var recipe = self
        let first = try #require(text.split(separator: "\n").first)
        let names = first.split(separator: " ").map { $0.split(separator: "=")[0] }
        try #require(names.map(String.init) == values.map(\.key))
        recipe.text =
            values.map { "\($0.key)=\($0.value)" }.joined(separator: " ") + text.dropFirst(first.count)
        return recipe
    }

    /// The same behind other lines, such as variables.
    func preceded(by lines: String) -> Recipe {
        var recipe = self
        recipe.text = lines + text
        return recipe
    }

    /// The text for a log of another name than `onewrite`.
    func named(_ namespace: String) -> String {
        text.replacing("{onewrite:", with: "{\(namespace):").replacing("onewrite:meta", with: "\(namespace):meta")
            .replacing("onewrite.", with: "\(namespace).").replacing("SCHEMA onewrite", with: "SCHEMA \(namespace)")
            .replacing("schema=onewrite", with: "schema=\(namespace)")
            .replacing("EXISTS onewrite", with: "EXISTS \(namespace)")
    }

    /// Runs it with the real programs.
    func run(_ servers: TestServers) async throws -> Ran {
        let directory = try await PrivateDirectory()
        let programs = """
            redis-cli() { command redis-cli -s "$REDIS_SOCKET" "$@"; }
            onewrite() { "$ONEWRITE" "$@"; }

            """
        let environment: [String: String?] = [
            "REDIS_SOCKET": servers.redis.socketPath, "ONEWRITE": BuiltExecutable.path,
        ]
        let ran = try await ChildProcess.run(
            ["/bin/bash", "-c", programs + named(servers.namespace)],
            environment: servers.environment.merging(environment) { $1 }, in: directory.path, within: .seconds(60))
        await directory.remove()
        return Ran(ran)
    }
}
