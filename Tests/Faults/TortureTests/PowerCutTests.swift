import Foundation
import Harness
import PrivateServers
import TestSupport
import Testing

@Suite("Power cuts at any byte", .serialized)
struct PowerCutTests {
    @Test("40 cuts with two later restarts each leave all stores equal")
    func cuts() async throws {
        let seed = UInt64.random(in: 0..<1_000_000)
        let torture = URL(filePath: BuiltExecutable.path).deletingLastPathComponent().appending(path: "torture").path
        let done = try await ChildProcess.run(
            [torture, "power-cuts", "--count", "40", "--seed", "\(seed)"], in: NSTemporaryDirectory(),
            within: .seconds(500))
        #expect(done.status == .exited(0), "seed \(seed)\n\(done.output)\(done.errors)")
        let lines = done.output.split(separator: "\n")
        #expect(lines.last == "ALL STORES EQUAL")
        func count(_ name: String) -> Int {
            let line = lines.first { $0.hasPrefix("  \(name)  ") }
            return line?.split(separator: " ").last.flatMap { Int($0) } ?? 0
        }
        #expect(count("power cuts") == 40)
        #expect(count("through a transaction, half of it left in the file") > 5, "else nothing was tested")
        #expect(count("restarts") == 120)
    }
}
