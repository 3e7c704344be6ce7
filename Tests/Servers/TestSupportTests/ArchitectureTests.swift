import Foundation
import TestSupport
import Testing

/// The picture in docs/architecture.md against Package.swift.
@Suite("The picture of the house")
struct ArchitectureTests {
    /// The targets in `Sources`, each with what it depends on of them.
    private static func targets() throws -> [String: Set<String>] {
        let manifest = try String(contentsOf: Repository.root.appending(path: "Package.swift"), encoding: .utf8)
            // What a target depends on with a trait only.
            .replacing(/\.target\(name: ("\w+"), condition: [^)]*\)\)/) { "\($0.1)" }
        let folders = Set(
            try FileManager.default.contentsOfDirectory(atPath: Repository.root.appending(path: "Sources").path))
        var targets: [String: Set<String>] = [:]
        for part in manifest.split(separator: /\.(?:target|executableTarget|systemLibrary|testTarget)\(/).dropFirst() {
            let own = part.replacing(/\.product\([^)]*\)/, with: "")
            let names = own.matches(of: /"(\w+)"/).map { String($0.1) }
            guard let name = names.first, folders.contains(name) else { continue }
            targets[name] = Set(names.dropFirst()).intersection(folders)
        }
        return targets
    }

    /// The lines of the picture from above, each with the targets that it shows.
    private static func picture(_ targets: some Collection<String>) throws -> [Set<String>] {
        let text = try String(contentsOf: Repository.root.appending(path: "docs/architecture.md"), encoding: .utf8)
        let block = try #require(text.split(separator: "```").dropFirst().first)
        return block.split(separator: "\n").map { line in
            Set(line.matches(of: /\w+/).map { String($0.0) }).intersection(targets)
        }
    }

    @Test("every target has a line in the table, and imports go one way, downwards")
    func layers() throws {
        let targets = try Self.targets()
        try #require(targets.count > 15)
        let text = try String(contentsOf: Repository.root.appending(path: "docs/architecture.md"), encoding: .utf8)
        for name in targets.keys { #expect(text.contains("`\(name)`"), "\(name) has no line in docs/architecture.md") }
        let lines = try Self.picture(targets.keys)
        func level(_ name: String) -> Int? { lines.firstIndex { $0.contains(name) } }
        #expect(
            Set(lines.joined()).union(["Faults"]) == Set(targets.keys), "the picture shows every target but the faults")
        for (name, dependencies) in targets {
            guard let own = level(name) else { continue }
            for dependency in dependencies {
                guard let other = level(dependency) else { continue }
                #expect(other >= own, "\(name) imports \(dependency), which the picture shows above it")
            }
        }
    }

    @Test("C is in its targets only, and the domain knows no socket")
    func boundaries() throws {
        let targets = try Self.targets()
        let ofC = targets.filter {
            !$0.value.isDisjoint(with: [
                "CHiredis", "CLibpq", "CReplyArena", "CThreadedIO", "CLibcurl", "CLibcrypto", "CHTTPClient",
                "CLibrdkafka", "CLibssl", "CBuild",
            ])
        }
        #expect(
            Set(ofC.keys) == [
                "CReplyArena", "CHTTPClient", "RedisClient", "PostgresClient", "HTTPClient", "KafkaClient", "SinkKinds",
                "ThreadedIO", "PrivateServers", "Serving", "OnewriteCommand",
            ])
        #expect(targets["OrderLog"] == [])
        #expect(targets["Coordination"] == ["OrderLog", "Faults"])
        #expect(targets["Reports"] == [])
        #expect(targets["Dashboard"] == ["Reports"])
        let products = ["Onewrite", "OnewriteTesting"]
        for name in targets.keys where !["OnewriteCommand", "OnewriteTesting", "Bench", "HTTPService"].contains(name) {
            #expect(targets[name]?.isDisjoint(with: products) == true, "\(name) is below the products")
        }
    }
}
