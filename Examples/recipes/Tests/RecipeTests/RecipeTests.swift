import Foundation
import OnewriteTesting
import Testing

@Suite("The recipes")
struct RecipeTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    /// SwiftPM puts the command beside the tests.
    private static let onewrite = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "onewrite").path

    @Test(
        "400 orders, the process killed twice: each order is in the ledger once",
        arguments: [("python3", "drive.py", "python"), ("node", "drive.mjs", "node")])
    func kills(program: String, script: String, prefix: String) async throws {
        try await withPrivateServers { servers in
            try await servers.run(["onewrite", "init"])
            let worker = try await servers.start(["onewrite", "worker", "--group", "postgres"])
            let said = try await servers.run(
                [program, Self.folder.appending(path: script).path]
                    + [Self.onewrite, "submit", "-", "--format", "ndjson", "--json"], within: .seconds(120))
            print(said, terminator: "")
            // When Postgres has applied a shop's last change, it has applied all before it.
            for shop in 0..<5 {
                try await servers.run(
                    ["onewrite", "submit", "--id", "last", "--shop", "shop-\(shop)", "--customer", "c"]
                        + ["--line", "TEA:1", "--wait=postgres"])
            }
            let counts = try await servers.run(
                ["psql", servers.postgres, "-XAtc"]
                    + ["SELECT count(*), count(DISTINCT id) FROM onewrite.ledger WHERE id LIKE '\(prefix)-%'"])
            #expect(counts == "400|400\n")
            await worker.kill()
        }
    }
}
