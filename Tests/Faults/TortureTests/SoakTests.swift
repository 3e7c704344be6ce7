import Foundation
import Harness
import PrivateServers
import TestSupport
import Testing

@testable import torture

@Suite("A short soak, with every kind of fault", .serialized)
struct SoakTests {
    @Test("finds nothing lost, doubled or out of order")
    func soak() async throws {
        let seed = UInt64.random(in: 0..<1_000_000)
        let own = URL(filePath: BuiltExecutable.path)
        let torture = own.deletingLastPathComponent().appending(path: "torture").path
        let done = try await ChildProcess.run(
            [torture, "soak", "--for", "1s", "--segment", "16s", "--seed", "\(seed)", "--workers", "2", "--verbose"],
            in: NSTemporaryDirectory(), within: .seconds(240))
        #expect(done.status == .exited(0), "seed \(seed)\n\(done.output)\(done.errors)")
        let lines = done.output.split(separator: "\n")
        #expect(lines.last == "NOTHING LOST, DOUBLED OR OUT OF ORDER")
        func count(_ name: String) -> Int {
            let line = lines.last { $0.hasPrefix("  \(name) ") }
            return line?.split(separator: " ").last.flatMap { Int($0) } ?? 0
        }
        // Those that find something to be done to whatever the machine does; the others are tried.
        for fault: Fault in [.workerKill, .redisKill, .tailLost, .postgresStop, .redisStop, .linksHeld, .scriptFlush] {
            #expect(count(fault.rawValue) > 0, "\(fault.rawValue), seed \(seed)\n\(done.output)")
        }
        // About half of them have a batch in hand; a slow machine has time for a few only, of which none may.
        if count(Fault.zombie.rawValue) > 6 { #expect(count("batches refused by their token") > 0, "seed \(seed)") }
        #expect(count("answers accepted") > 100)
        #expect(count("log entries trimmed") > 0, "seed \(seed)\n\(done.output)")
        #expect(count("looks at both servers while all that happened") > 10)
        #expect(count("full checks at rest") > 0)
    }
}
