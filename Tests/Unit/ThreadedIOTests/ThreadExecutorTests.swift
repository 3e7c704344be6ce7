import Glibc
import Testing
import ThreadedIO

actor Lane {
    let executor: ThreadExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ executor: ThreadExecutor) {
        self.executor = executor
    }

    func thread() -> UInt { pthread_self() }

    func wait(_ interrupt: Interrupt, until deadline: Deadline) -> WaitResult {
        interrupt.wait(until: deadline)
    }

    func callThrough(_ other: Lane) async -> UInt { await other.thread() }
}

@Suite("A lane's executor")
struct ThreadExecutorTests {
    @Test("runs its actors on one thread that is not the caller's")
    func oneThread() async {
        let executor = ThreadExecutor(name: "test")
        let (first, second) = (Lane(executor), Lane(executor))
        let thread = await first.thread()
        #expect(await second.thread() == thread)
        #expect(await first.callThrough(second) == thread)
        #expect(await Lane(ThreadExecutor(name: "other")).thread() != thread)
    }

    @Test("a blocked lane is woken by an interrupt from another thread")
    func interrupted() async {
        let interrupt = Interrupt()
        let lane = Lane(ThreadExecutor(name: "test"))
        async let result = lane.wait(interrupt, until: .after(.seconds(30)))
        interrupt.signal()
        #expect(await result == .interrupted)
    }

    @Test("a signal that comes before the wait is not lost, and stays until it is cleared")
    func signalFirst() {
        let interrupt = Interrupt()
        interrupt.signal()
        #expect(interrupt.wait(until: .after(.seconds(30))) == .interrupted)
        #expect(interrupt.isSignalled)
        interrupt.clear()
        #expect(!interrupt.isSignalled)
    }

    @Test("a wait ends at its deadline, never before")
    func timesOut() {
        let deadline = Deadline.after(.microseconds(2500))
        #expect(Interrupt().wait(until: deadline) == .timedOut)
        #expect(deadline.hasPassed)
        #expect(deadline.remaining == .zero)
    }

    @Test("a socket that is ready wins over an interrupt")
    func readyFirst() {
        var pipes: [Int32] = [0, 0]
        pipe(&pipes)
        defer { pipes.forEach { _ = close($0) } }
        let interrupt = Interrupt()
        interrupt.signal()
        #expect(wait(for: .reading, on: pipes[0], until: .after(.seconds(1)), interrupt: interrupt) == .interrupted)
        _ = write(pipes[1], "x", 1)
        #expect(wait(for: .reading, on: pipes[0], until: .after(.seconds(1)), interrupt: interrupt) == .ready)
    }
}
