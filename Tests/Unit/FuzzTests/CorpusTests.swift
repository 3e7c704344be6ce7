import Foundation
import FuzzTargets
import Harness
import TestSupport
import Testing

@Suite("What reads others' bytes")
struct CorpusTests {
    private static let folder = Repository.root.appending(path: "Tests/Fuzz/corpus")

    private static func inputs(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        let folder = folder.appending(path: target.name)
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { name in
            (name, [UInt8](try Data(contentsOf: folder.appending(path: name))))
        }
    }

    @Test("reads all of scripts/fuzz's corpus", arguments: FuzzTarget.all.map(\.name))
    func corpus(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let inputs = try Self.inputs(of: target)
        #expect(inputs.count > 3, "the corpus of \(name) is nearly empty")
        for input in inputs {
            #expect(throws: Never.self, "\(input.name)") { try target.run(input.bytes) }
        }
    }

    @Test("reads what is nearly that, too", arguments: FuzzTarget.all.map(\.name))
    func mutated(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let inputs = try Self.inputs(of: target).map(\.bytes)
        // The same each time: what is new is found by scripts/fuzz, not by a run of all tests.
        var random = SeededGenerator(seed: 17)
        for _ in 0..<1000 {
            var bytes = try #require(inputs.randomElement(using: &random))
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0...bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                case 1 where place < bytes.count: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 2: bytes.removeSubrange(place...)
                default:
                    let other = try #require(inputs.randomElement(using: &random))
                    bytes.insert(contentsOf: other.prefix(Int.random(in: 0...other.count, using: &random)), at: place)
                }
            }
            #expect(throws: Never.self, "\(bytes)") { try target.run(bytes) }
        }
    }
}
