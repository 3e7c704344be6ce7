import Foundation
import PrivateServers
import TestSupport
import Testing

/// What `scripts/docs` can't see by itself: it fails on what DocC warns of.
@Suite("The documentation of the products")
struct DocumentationTests {
    /// A public symbol, as the compiler tells of it.
    private struct Symbol: Decodable {
        struct Kind: Decodable { let identifier: String }
        struct Comment: Decodable {}
        let kind: Kind
        let pathComponents: [String]
        let docComment: Comment?

        var name: String { pathComponents.joined(separator: ".") }
    }

    private struct SymbolGraph: Decodable { let symbols: [Symbol] }

    /// The public symbols of a product, those that it re-exports among them.
    private static func symbols(of product: String) async throws -> [Symbol] {
        let directory = try await PrivateDirectory()
        let ran = try await ChildProcess.run(
            [
                Repository.root.appending(path: "scripts/docs").path, "--symbols", directory.path,
                BuiltExecutable.folder,
            ],
            within: .seconds(60))
        try #require(ran.status == .exited(0), "\(ran.errors)")
        let file = URL(filePath: directory.path).appending(path: "\(product)/\(product).symbols.json")
        let graph = try JSONDecoder().decode(SymbolGraph.self, from: Data(contentsOf: file))
        await directory.remove()
        return graph.symbols
    }

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: Repository.root.appending(path: path), encoding: .utf8)
    }

    @Test("whatever is public has a comment of its own", arguments: ["Onewrite", "OnewriteTesting"])
    func comments(_ product: String) async throws {
        let symbols = try await Self.symbols(of: product)
        try #require(symbols.contains { $0.name == (product == "Onewrite" ? "Sink" : "SinkConformance") })
        for symbol in symbols where symbol.docComment == nil { Issue.record("\(symbol.name) has no comment") }
    }

    @Test("the landing page shows every public type")
    func topics() async throws {
        let page = try Self.text("Sources/Onewrite/Onewrite.docc/Onewrite.md")
        for symbol in try await Self.symbols(of: "Onewrite") where symbol.pathComponents.count == 1 {
            let isThere = page.contains("\n- ``\(symbol.name)``\n")
            #expect(isThere, "\(symbol.name) has no line")
        }
    }

    // MARK: - Code

    /// A page, with where its code comes from.
    static let pages = [
        ("Onewrite/Onewrite.docc/Onewrite.md", "Tests/Servers/ProducerTests"),
        ("Onewrite/Onewrite.docc/YourFirstSink.md", "Examples/search"),
        ("OnewriteTesting/OnewriteTesting.docc/OnewriteTesting.md", "Examples/search"),
    ]

    @Test("code in pages is, word for word, code that is compiled and run", arguments: pages)
    func code(page: String, folder: String) throws {
        let sources = try Self.sources(in: folder)
        try #require(!sources.isEmpty, "\(folder) has no sources")
        let blocks = try Self.text("Sources/\(page)").matches(of: /(?ms)^```(?:swift|sql)\n(.*?)^```$/)
        try #require(!blocks.isEmpty)
        for block in blocks {
            let code = String(block.1)
            let isThere = sources.contains { Self.holds($0, code) }
            #expect(isThere, "\(folder) has no such code:\n\(code)")
        }
    }

    private static func sources(in folder: String) throws -> [String] {
        let folder = Repository.root.appending(path: folder)
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        var sources: [String] = []
        while let file = files?.nextObject() as? URL {
            if file.lastPathComponent == ".build" { files?.skipDescendants() }
            if file.pathExtension == "swift" { sources.append(try String(contentsOf: file, encoding: .utf8)) }
        }
        return sources
    }

    /// Whether a source has the lines of a block one behind the other, all moved to the right by the same.
    private static func holds(_ source: String, _ block: String) -> Bool {
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
        let wanted = block.split(separator: "\n")
        guard let first = wanted.first else { return false }
        return lines.indices.contains { start in
            guard lines[start].hasSuffix(first) else { return false }
            let indent = lines[start].dropLast(first.count)
            guard indent.allSatisfy({ $0 == " " }) else { return false }
            return lines[start...].lazy.filter { !$0.isEmpty }.prefix(wanted.count).elementsEqual(
                wanted.map { indent + $0 })
        }
    }
}
