import Glibc

/// A Sentinel of our own that watches one master, in a private directory.
///
/// It is alone: its own vote is the quorum. A master that doesn't answer for 300 ms is down, and a replica is promoted.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>
package final class PrivateSentinel: Sendable {
    /// What it calls the master.
    package static let masterName = "mymaster"

    /// The loopback port.
    package let port: Int
    /// The password, when one was asked for.
    package let password: String?
    /// Its log, with every decision that it takes.
    package var logPath: String { server.recipe.logPath }

    private let socketPath: String
    private let root: PrivateDirectory
    private let server: PrivateServer

    /// Starts a Sentinel and returns when it answers.
    ///
    /// - Parameters:
    ///   - master: What it watches: a server that listens on a port.
    ///   - root: Where its files go.
    ///   - name: The name of its part of the directory.
    ///   - password: What its clients must give; nil for none.
    ///   - tls: What is spoken at its port, and to the master; nil for no TLS.
    ///   - downAfter: How long the master may be silent, in milliseconds.
    /// - Returns: A Sentinel that answers.
    /// - Throws: ``ServerError``; `CancellationError`.
    package static func start(
        watching master: PrivateRedis, in root: PrivateDirectory, name: String = "sentinel", password: String? = nil,
        tls: PrivateTLS? = nil, downAfter: Int = 300
    ) async throws -> PrivateSentinel {
        let sentinel = try PrivateSentinel(master, root, name, password, tls, downAfter)
        try await sentinel.server.start()
        return sentinel
    }

    private init(
        _ master: PrivateRedis, _ root: PrivateDirectory, _ name: String, _ password: String?, _ tls: PrivateTLS?,
        _ downAfter: Int
    ) throws(ServerError) {
        guard let masterPort = master.port else {
            throw .refused(operation: "watch a server", reason: "it listens on no port")
        }
        let part = try root.part(name, owner: nil)
        let (port, socketPath, watched) = (try freePort(), "\(part)/sentinel.sock", Self.masterName)
        let configuration = """
            \(tls?.redisLines(port: port) ?? "port \(port)")
            bind 127.0.0.1
            unixsocket \(socketPath)
            dir \(part)
            daemonize no
            sentinel monitor \(watched) 127.0.0.1 \(masterPort) 1
            sentinel down-after-milliseconds \(watched) \(downAfter)
            sentinel failover-timeout \(watched) 3000
            \(master.password.map { "sentinel auth-pass \(watched) \(quoted($0))" } ?? "")
            \(password.map { "requirepass \(quoted($0))" } ?? "")

            """
        try writeText(configuration, to: "\(part)/sentinel.conf")
        self.root = root
        self.port = port
        self.password = password
        self.socketPath = socketPath
        server = PrivateServer(
            .init(
                name: "sentinel", arguments: [try Program.redisServer(), "\(part)/sentinel.conf", "--sentinel"],
                directory: part, logPath: "\(part)/sentinel.log", deathSignal: .kill,
                isReady: { _ in
                    askRedis(["PING"], at: socketPath, password: password, within: .milliseconds(500)) == "PONG"
                }))
    }

    /// Whether it has found a replica that it could promote.
    ///
    /// - Throws: ``ServerError`` when it doesn't answer.
    package func knowsReplica() async throws -> Bool {
        let (path, password) = (socketPath, password)
        let reply = await BlockingLane(name: "ask").run {
            askRedis(["INFO", "sentinel"], at: path, password: password, within: .seconds(10))
        }
        guard let reply else { throw ServerError.refused(operation: "ask the Sentinel", reason: "no answer") }
        return reply.contains("status=ok") && !reply.contains("slaves=0")
    }

    /// Kills it with SIGKILL and returns when it is gone.
    package func kill() async {
        await server.process?.kill()
    }

    /// Starts it again, at the same address and with what it knows.
    package func restart() async throws {
        await kill()
        try await server.start()
    }

    /// Stops the process where it stands (SIGSTOP): connections stay up, and nothing answers.
    package func pause() {
        server.process?.send(SIGSTOP)
    }

    /// Lets a paused process run on (SIGCONT).
    package func resume() {
        server.process?.send(SIGCONT)
    }
}
