import Foundation
import OnewriteTesting
import Testing

@Suite("Servers for an application's tests")
struct TestingServersTests {
    @Test("a test has servers of its own, programs on them that end with it, and nothing is left")
    func own() async throws {
        let (directory, worker) = try await withPrivateServers { servers in
            let ready = try await servers.run(["onewrite", "init"])
            #expect(ready.hasPrefix("ready: log "))
            let worker = try await servers.start(["onewrite", "worker"])
            try await servers.run(
                ["onewrite", "submit", "--id", "o", "--shop", "s", "--customer", "c", "--line", "TEA:1", "--wait"])
            #expect(worker.isRunning)
            let failed = await #expect(throws: ProgramFailed.self) {
                try await servers.run(["onewrite", "order", "nobody", "--shop", "s"])
            }
            #expect(failed?.code == 1, "\(String(describing: failed))")
            worker.send(SIGTERM)
            #expect(try await worker.exit() == 0)
            let killed = try await servers.start(["sleep", "600"])
            await killed.kill()
            #expect(try await killed.exit() == 128 + SIGKILL)
            let socket = try #require(URL(string: servers.redis)).path
            #expect(FileManager.default.fileExists(atPath: socket))
            return (URL(filePath: socket).deletingLastPathComponent().path, worker)
        }
        #expect(!FileManager.default.fileExists(atPath: directory))
        #expect(!worker.isRunning)
    }
}
