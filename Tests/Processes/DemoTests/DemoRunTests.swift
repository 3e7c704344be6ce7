import Foundation
import PrivateServers
import TestSupport
import Testing

@Suite("onewrite demo, the real executable", .serialized)
struct DemoRunTests {
    @Test("a small one ends VERIFIED and leaves nothing behind")
    func verified() async throws {
        let done = try await ChildProcess.run(
            [BuiltExecutable.path, "demo", "--orders", "150", "--seed", "7"], within: .seconds(120))
        #expect(done.status == .exited(0), "\(done.errors)")
        let lines = done.output.split(separator: "\n")
        #expect(lines.last == "VERIFIED", "\(done.output)")
        #expect(lines.first?.contains("seed 7 · 150 orders") == true)
        #expect(lines.count { $0.contains("  kill -9 ") && !$0.hasPrefix("  kill") } == 8)
        // Whether a kill is met between apply and acknowledge, and the workers' own words are shown, depends on the machine.
        #expect(lines.contains { $0.contains(" took over ") && $0.contains(" partitions in ") })
        #expect(!done.output.contains("\u{1b}"), "no colour off a terminal")
        try await expectNothing(of: directory(in: done.output))
    }

    @Test("on a Redis Cluster partitions move and a master is killed, and it ends VERIFIED all the same")
    func cluster() async throws {
        let done = try await ChildProcess.run(
            [BuiltExecutable.path, "demo", "--cluster", "--orders", "150", "--seed", "7"], within: .seconds(240))
        #expect(done.status == .exited(0), "\(done.errors)")
        let lines = done.output.split(separator: "\n")
        #expect(lines.last == "VERIFIED", "\(done.output)")
        for words in [" partitions to node-", "kill -9 node-", " has its place after ", " is back, as a replica"] {
            #expect(lines.count { $0.contains(words) } == 1, "\(words): \(done.output)")
        }
        #expect(lines.count { $0.contains("  kill -9 ") && !$0.hasPrefix("  kill") } == 9)
        try await expectNothing(of: directory(in: done.output))
    }

    @Test("SIGTERM in the middle stops it and leaves nothing behind")
    func stopped() async throws {
        let demo = try await ChildProcess.spawn(
            [BuiltExecutable.path, "demo", "--seed", "1"], output: .piped, errors: .discarded)
        let directory = try await directory(of: demo, whenSaying: "kill -9")
        demo.send(SIGTERM)
        #expect(try await demo.exit(within: .seconds(30)) == .exited(128 + SIGTERM))
        try await expectNothing(of: directory)
    }

    @Test("killed with SIGKILL it leaves nothing behind either")
    func killed() async throws {
        let demo = try await ChildProcess.spawn(
            [BuiltExecutable.path, "demo", "--seed", "1"], output: .piped, errors: .discarded)
        let directory = try await directory(of: demo, whenSaying: "six workers")
        await demo.kill()
        try await expectNothing(of: directory)
    }

    @Test("--keep says how to get in, and leaves servers and workers running until it is told to stop")
    func kept() async throws {
        let demo = try await ChildProcess.spawn(
            [BuiltExecutable.path, "demo", "--orders", "100", "--keep"], output: .piped, errors: .discarded)
        var environment: [String: String] = [:]
        var directory = ""
        while let line = try await demo.output?.nextLine(), !line.contains("the workers' logs") {
            if let found = Self.directory(in: line) { directory = found }
            let words = line.split(separator: "'")
            if line.contains("export REDIS_URL=") { environment["REDIS_URL"] = String(words[1]) }
            if line.contains("export DATABASE_URL=") { environment["DATABASE_URL"] = String(words[1]) }
        }
        #expect(environment.count == 2)
        let status = try await ChildProcess.run(
            [BuiltExecutable.path, "status"], environment: environment.mapValues { $0 })
        #expect(status.status == .exited(0), "\(status.errors)")
        #expect(status.output.contains("postgres"))
        demo.send(SIGINT)
        #expect(try await demo.exit(within: .seconds(30)) == .exited(0))
        try await expectNothing(of: directory)
    }

    @Test("without a Redis server it says what to install")
    func missing() async throws {
        let tools = "/tmp/onewrite-tools-\(getpid())"
        try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: true)
        defer { do { try FileManager.default.removeItem(atPath: tools) } catch { Issue.record(error) } }
        let setpriv = try #require(
            ["/usr/bin/setpriv", "/bin/setpriv"].first(where: FileManager.default.isExecutableFile))
        try FileManager.default.createSymbolicLink(atPath: "\(tools)/setpriv", withDestinationPath: setpriv)
        var withoutServers: [String: String?] = ["PATH": tools, "ONEWRITE_TEST_REDIS": nil]
        // Our own launcher finds setpriv in this process's PATH, the demo's in its own.
        let done = try await ChildProcess.run([BuiltExecutable.path, "demo"], environment: withoutServers)
        #expect(done.status == .exited(78))
        #expect(done.errors.contains("redis-server isn't installed: apt-get install redis-server"), "\(done.errors)")
        #expect(done.output.isEmpty, "nothing was begun")
        withoutServers["ONEWRITE_TEST_REDIS"] = "\(tools)/redis-server"
        let wrong = try await ChildProcess.run([BuiltExecutable.path, "demo"], environment: withoutServers)
        #expect(wrong.status == .exited(78))
        #expect(
            wrong.errors.contains("no program is at \(tools)/redis-server, where ONEWRITE_TEST_REDIS has it"),
            "\(wrong.errors)")
    }

    // MARK: -

    private func directory(of demo: ChildProcess, whenSaying word: String) async throws -> String {
        var directory: String?
        while let line = try await demo.output?.nextLine() {
            directory = directory ?? Self.directory(in: line)
            if line.contains(word) { break }
        }
        return try #require(directory)
    }

    private func directory(in output: String) throws -> String { try #require(Self.directory(in: output)) }

    private static func directory(in text: String) -> String? {
        text.firstMatch(of: /\/tmp\/onewrite-\w{6}/).map { String($0.0) }
    }

    /// Neither the directory nor a process that names it is there any more, soon.
    private func expectNothing(of directory: String) async throws {
        try await eventually("the directory is gone") { !FileManager.default.fileExists(atPath: directory) }
        try await eventually("no process of it is left") {
            let pids = try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { Int($0) != nil }
            return !pids.contains { pid in
                let arguments = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
                let environment = FileManager.default.contents(atPath: "/proc/\(pid)/environ") ?? Data()
                return String(decoding: arguments + environment, as: UTF8.self).contains(directory)
            }
        }
    }
}
