import Glibc
import PrivateServers
import TestSupport
import Testing

@Suite("The tests' own support")
struct TestSupportTests {
    @Test("tests share the servers, and no names")
    func shared() async throws {
        let (first, second) = try await withServers { first in try await withServers { second in (first, second) } }
        #expect(first.redis.pid == second.redis.pid)
        #expect(first.postgres.pid == second.postgres.pid)
        #expect(first.namespace != second.namespace)
        #expect(try await first.newDatabase() != second.newDatabase())
    }

    @Test("servers of a test's own are gone after it, when it failed too")
    func own() async throws {
        struct Failure: Error {}
        var seen: TestServers?
        await #expect(throws: Failure.self) {
            try await withOwnServers { servers in
                seen = servers
                await servers.redis.kill()
                throw Failure()
            }
        }
        let servers = try #require(seen)
        #expect(!servers.postgres.isRunning)
        #expect(access(servers.redis.directory, F_OK) != 0)
    }

    @Test("a condition that never holds fails with its description, when the time is up")
    func eventuallyFails() async throws {
        try await withKnownIssue {
            try await eventually(within: .milliseconds(20), "pigs fly") { false }
        } matching: { issue in
            issue.comments.contains { $0.rawValue.contains("pigs fly") }
        }
        var looks = 0
        try await eventually("the third look") {
            looks += 1
            return looks == 3
        }
    }

    @Test("the built executable is found")
    func executable() {
        #expect(access(BuiltExecutable.path, X_OK) == 0)
    }
}
