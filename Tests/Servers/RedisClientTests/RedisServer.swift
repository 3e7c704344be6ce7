import Foundation
import Glibc
import PrivateServers
import RedisClient
import Synchronization
import ThreadedIO

/// A server of the test's own, in a private directory, on a unix socket and a loopback port.
final class RedisServer {
    let socketPath: String
    let port: Int
    private let password: String?
    private let process = Process()
    private let directory: URL

    init(password: String? = nil, extra: [String] = []) throws {
        ignoreBrokenPipes()
        directory = FileManager.default.temporaryDirectory.appending(path: "ow-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        socketPath = directory.appending(path: "s").path
        port = Int(try freePort())
        self.password = password
        process.executableURL = URL(filePath: try Program.redisServer())
        process.arguments =
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--unixsocket", socketPath, "--save", "", "--dir",
                directory.path, "--logfile", "log",
            ] + (password.map { ["--requirepass", $0] } ?? []) + extra
        try process.run()
        try waitUntil("redis-server answers") {
            (try? RedisSession(connectingTo: unix, until: .after(.seconds(1)), interrupt: nil)) != nil
        }
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    var unix: RedisConfiguration { RedisConfiguration(.unix(path: socketPath), password: password) }
    var tcp: RedisConfiguration { RedisConfiguration(.tcp(host: "127.0.0.1", port: port), password: password) }

    func connect(interrupt: Interrupt? = nil) throws(RedisError) -> RedisSession {
        try RedisSession(connectingTo: unix, until: .soon, interrupt: interrupt)
    }
}

extension Deadline {
    /// Longer than anything in these tests takes.
    static var soon: Deadline { .after(.seconds(20)) }
}

struct ConditionNotMet: Error {
    let condition: String
}

/// Looks again and again until the condition holds.
func waitUntil(_ condition: String, _ holds: () throws -> Bool) throws {
    let deadline = Deadline.soon
    let pause = Interrupt()
    while try !holds() {
        guard !deadline.hasPassed else { throw ConditionNotMet(condition: condition) }
        pause.wait(until: .after(.milliseconds(2)))
    }
}

/// Runs `body` on a thread of its own, since a connection blocks the one it is used on.
func onAnotherThread(_ body: @escaping @Sendable () throws -> Void) -> OtherThread {
    let other = OtherThread()
    Thread { other.finish(Result { try body() }) }.start()
    return other
}

final class OtherThread: Sendable {
    private let outcome = Mutex<Result<Void, any Error>?>(nil)

    func finish(_ result: Result<Void, any Error>) {
        outcome.withLock { $0 = result }
    }

    func join() throws {
        try waitUntil("the other thread is done") { outcome.withLock { $0 != nil } }
        try outcome.withLock { $0 }?.get()
    }
}

/// A loopback port that was free a moment ago.
func freePort() throws -> UInt16 {
    let listener = try LoopbackListener()
    defer { close(listener.descriptor) }
    return listener.port
}
