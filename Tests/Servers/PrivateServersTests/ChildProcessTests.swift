import Glibc
import PrivateServers
import Testing

@Suite("A child process")
struct ChildProcessTests {
    @Test("its output, its errors and its exit code come back")
    func runs() async throws {
        let result = try await ChildProcess.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
        #expect(result.status == .exited(3))
        #expect(result.output == "out\n")
        #expect(result.errors == "err\n")
    }

    @Test("gets its arguments as they are, and the environment with the changes made")
    func argumentsAndEnvironment() async throws {
        let script = "printf '%s|' \"$@\" \"$ADDED\" \"${HOME-none}\""
        let result = try await ChildProcess.run(
            ["sh", "-c", script, "sh", "a b", "$c", ""], environment: ["ADDED": "x=y", "HOME": nil])
        #expect(result.output == "a b|$c||x=y|none|")
    }

    @Test("more output than a pipe holds is not lost")
    func muchOutput() async throws {
        let result = try await ChildProcess.run(["head", "-c", "1000000", "/dev/zero"])
        #expect(result.output.utf8.count == 1_000_000)
    }

    @Test("its lines come one by one, the last one without a newline too")
    func lines() async throws {
        let child = try await ChildProcess.spawn(["printf", "one\n\nthree"], output: .piped)
        var lines: [String] = []
        for try await line in try #require(child.output).lines { lines.append(line) }
        #expect(lines == ["one", "", "three"])
    }

    @Test("waiting for a line ends when the task is cancelled, and the line is not lost")
    func cancelledReading() async throws {
        let child = try await ChildProcess.spawn(["sh", "-c", "read -r _; echo late"], input: .held, output: .piped)
        let output = try #require(child.output)
        let reading = Task { try await output.nextLine() }
        reading.cancel()
        await #expect(throws: CancellationError.self) { try await reading.value }
        child.closeInput()
        #expect(try await output.nextLine() == "late")
    }

    @Test("a program that is not there is an error that names it")
    func notFound() async throws {
        await #expect(throws: ChildProcessError.notFound("no-such-program")) {
            try await ChildProcess.run(["no-such-program"])
        }
    }

    @Test("one that hangs is killed when its time is up")
    func timesOut() async throws {
        let child = try await ChildProcess.spawn(["sleep", "1000"])
        await #expect(throws: ChildProcessError.stillRunning("sleep", pid: child.pid)) {
            try await child.exit(within: .milliseconds(20))
        }
        #expect(child.isRunning)
        #expect(await child.kill() == .killed(signal: SIGKILL))
        #expect(!ProcessTable.isRunning(child.pid))
    }

    @Test("one that ignores SIGTERM, and is stopped, ends all the same, in a cancelled task too")
    func stubborn() async throws {
        let child = try await ChildProcess.spawn(
            ["sh", "-c", "trap '' TERM; echo ready; exec sleep 1000"], output: .piped)
        #expect(try await child.output?.nextLine() == "ready")
        child.send(SIGSTOP)
        let stopping = Task { await child.stop(within: .milliseconds(50)) }
        stopping.cancel()
        #expect(await stopping.value == .killed(signal: SIGKILL))
    }

    @Test("starts with default signal handling, whatever ours is")
    func signals() async throws {
        let handler = signal(SIGUSR2, SIG_IGN)
        defer { signal(SIGUSR2, handler) }
        let child = try await ChildProcess.spawn(["sleep", "1000"])
        child.send(SIGUSR2)
        #expect(try await child.exit(within: .seconds(10)) == .killed(signal: SIGUSR2))
    }

    @Test("inherits no descriptor but its three")
    func descriptors() async throws {
        let leak = open("/dev/null", O_RDONLY)
        defer { close(leak) }
        let result = try await ChildProcess.run(["ls", "/proc/self/fd"])
        #expect(result.output == "0\n1\n2\n3\n", "3 is the one ls reads the folder with")
    }

    @Test("ends when its owner lets go of it")
    func letGo() async throws {
        var child: ChildProcess? = try await ChildProcess.spawn(["sleep", "1000"])
        let pid = try #require(child?.pid)
        child = nil
        try await gone(pid)
    }

    @Test("ends when the process that started it gets kill -9")
    func parentKilled() async throws {
        let result = await #expect(processExitsWith: .signal(SIGKILL), observing: [\.standardOutputContent]) {
            let child = try await ChildProcess.spawn(["sleep", "1000"], output: .discarded, errors: .discarded)
            print("pid", child.pid)
            fflush(nil)
            raise(SIGKILL)
            withExtendedLifetime(child) {}
        }
        let pid = try #require(values(of: "pid", in: result).first.flatMap { pid_t($0) })
        try await gone(pid)
    }
}

/// The words after a key at the start of a line.
func values(of key: String, in result: ExitTest.Result?) -> [String] {
    let text = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    return text.split(separator: "\n").filter { $0.hasPrefix("\(key) ") }.map { String($0.dropFirst(key.count + 1)) }
}

func gone(_ pid: pid_t) async throws {
    try await holds("process \(pid) is gone") { !ProcessTable.isRunning(pid) }
}

/// Waits for a condition, ten seconds at most.
func holds(_ what: Comment, _ condition: () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
        try #require(ContinuousClock.now < deadline, what)
        try await Task.sleep(for: .milliseconds(5))
    }
}
