import Foundation
import OnewriteTesting
import Testing

@Suite("Producers in other languages")
struct FunctionsTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let count = 300

    /// A command that runs an example, which needs its library from Debian's package.
    private static func command(_ language: String, _ servers: PrivateServers) -> [String] {
        let socket = URL(string: servers.redis)?.path ?? ""
        return switch language {
        case "python": ["/usr/bin/python3", "\(folder)/append.py"]
        case "node": ["env", "NODE_PATH=/usr/share/nodejs", "node", "\(folder)/append.cjs"]
        case "go":
            [
                "env", "GO111MODULE=off", "GOPATH=/usr/share/gocode", "GOFLAGS=-buildvcs=false", "go", "run",
                "\(folder)/append.go",
            ]
        default: ["env", "REDIS_CLI=-s \(socket)", "\(folder)/append.sh"]
        }
    }

    @Test(
        "300 orders while connections are cut: each is in the ledger once, and told so",
        arguments: ["python", "node", "go", "shell"])
    func cuts(language: String) async throws {
        try await withPrivateServers { servers in
            try await servers.run(["onewrite", "init"])
            let worker = try await servers.start(["onewrite", "worker", "--group", "postgres"])
            let cutting = Task {
                let socket = URL(string: servers.redis)?.path ?? ""
                while !Task.isCancelled {
                    // Refused by a server that has just begun to run a script.
                    _ = try? await servers.run([
                        "redis-cli", "-s", socket, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes",
                    ])
                    try await Task.sleep(for: .milliseconds(Int.random(in: 5...60)))
                }
            }
            let command = Self.command(language, servers) + [language, "\(Self.count)"]
            let said = try await servers.run(command, within: .seconds(180))
            cutting.cancel()
            let outcomes = said.split(separator: "\n").map { $0.split(separator: " ").first ?? "" }
            #expect(outcomes.count == Self.count)
            #expect(outcomes.allSatisfy { ["accepted", "duplicate"].contains($0) }, "\(said.prefix(2000))")
            // Again: all of them are there, at the places that were told.
            let again = try await servers.run(command, within: .seconds(180))
            let places = { (text: String) in text.split(separator: "\n").map { $0.split(separator: " ").dropFirst() } }
            #expect(places(again) == places(said))
            #expect(again.split(separator: "\n").allSatisfy { $0.hasPrefix("duplicate ") })
            // When Postgres has applied a shop's last change, it has applied all before it.
            for shop in 0..<5 {
                try await servers.run(
                    ["onewrite", "submit", "--id", "last", "--shop", "shop-\(shop)", "--customer", "c"]
                        + ["--line", "TEA:1", "--wait=postgres"])
            }
            let counts = try await servers.run(
                ["psql", servers.postgres, "-XAtc"]
                    + [
                        "SELECT count(*), count(DISTINCT id), min(customer), max(lines) FROM onewrite.ledger "
                            + "WHERE id LIKE '\(language)-%'"
                    ])
            #expect(counts == "\(Self.count)|\(Self.count)|Zoë|TEA:9 MUG:1\n")
            await worker.kill()
        }
    }
}
