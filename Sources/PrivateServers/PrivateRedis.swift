package import Glibc
import ThreadedIO

/// A Redis server of our own, in a private directory, that nobody else can reach.
///
/// It has AOF on, `noeviction` and `repl-backlog-ttl 0`, as Onewrite wants its servers. It ends with this process,
/// however that ends.
///
/// Redis: <https://redis.io/docs/latest/operate/oss_and_stack/management/config/>
package final class PrivateRedis: Sendable {
    /// The unix socket's path.
    package let socketPath: String
    /// The loopback port, when one was asked for.
    package let port: Int?
    /// The part of the private directory that holds the server's files.
    package let directory: String
    /// The server's log.
    package var logPath: String { server.recipe.logPath }
    /// The end of the server's log, for messages.
    var logTail: String { server.logTail }
    /// The password, when one was asked for.
    package let password: String?
    /// What is spoken at the port; nil for no TLS.
    package let tls: PrivateTLS?

    private let root: PrivateDirectory
    private let server: PrivateServer

    /// Starts a server and returns when it answers.
    ///
    /// - Parameters:
    ///   - root: Where its files go; nil for a new directory, removed with the server.
    ///   - name: The name of its part of the directory.
    ///   - options: Lines of a configuration file, such as `appendfsync always`; they win over ours.
    ///   - password: What clients must give; nil for none.
    ///   - tcp: Whether it listens on a free port of the loopback interface too.
    ///   - tls: Listens on a free port with this TLS, and on none without; a client that wants to has to name the authority.
    ///   - environment: What its environment differs in from ours.
    /// - Returns: A server that answers.
    /// - Throws: ``ServerError``, with the end of the server's log when it did not come up; `CancellationError`.
    package static func start(
        in root: PrivateDirectory? = nil, name: String = "redis", options: [String] = [], password: String? = nil,
        tcp: Bool = false, tls: PrivateTLS? = nil, environment: [String: String?] = [:]
    ) async throws -> PrivateRedis {
        let directory: PrivateDirectory = if let root { root } else { try await PrivateDirectory() }
        let part = try directory.part(name, owner: nil)
        var triesLeft = 5
        while true {
            let redis = try PrivateRedis(
                directory, part, options, password, port: tcp || tls != nil ? try freePort() : nil, tls: tls,
                environment: environment)
            do {
                try await redis.server.start()
                return redis
            } catch ServerError.didNotStart(_, _, let log) where triesLeft > 0 && log.contains("in use") {
                // Somebody took the port between our look and the server's.
                triesLeft -= 1
            }
        }
    }

    private init(
        _ root: PrivateDirectory, _ part: String, _ options: [String], _ password: String?, port: Int?,
        tls: PrivateTLS?, environment: [String: String?]
    ) throws(ServerError) {
        let socketPath = "\(part)/redis.sock"
        let configuration = """
            \(tls?.redisLines(port: port ?? 0) ?? "port \(port ?? 0)")
            bind 127.0.0.1
            unixsocket \(socketPath)
            unixsocketperm 700
            dir \(part)
            daemonize no
            save ""
            appendonly yes
            appendfsync everysec
            maxmemory-policy noeviction
            repl-backlog-ttl 0
            repl-diskless-sync-delay 0
            \(password.map { "requirepass \(quoted($0))" } ?? "")
            \(options.joined(separator: "\n"))

            """
        // In a file, not in arguments: `ps` shows those to everybody.
        try writeText(configuration, to: "\(part)/redis.conf")
        self.root = root
        self.socketPath = socketPath
        self.port = port
        self.password = password
        self.tls = tls
        directory = part
        server = PrivateServer(
            .init(
                name: "redis-server", arguments: [try Program.redisServer(), "\(part)/redis.conf"],
                directory: part, logPath: "\(part)/redis.log", deathSignal: .kill,
                isReady: { _ in
                    // One that still loads its AOF says so.
                    askRedis(["PING"], at: socketPath, password: password, within: .milliseconds(500)) == "PONG"
                },
                environment: environment))
    }

    /// Where clients find it: the loopback port when there is one, else the unix socket.
    package var url: String {
        let password = password.map(percentEncoded)
        guard let port else { return "unix://\(socketPath)" + (password.map { "?password=\($0)" } ?? "") }
        let place = (password.map { "default:\($0)@" } ?? "") + "127.0.0.1:\(port)/0"
        return tls.map { "rediss://\(place)?tls_ca=\(percentEncoded($0.authority.file))" } ?? "redis://\(place)"
    }

    /// The process ID of the present, or last, server process.
    package var pid: pid_t { server.process?.pid ?? 0 }

    /// Whether the process runs.
    package var isRunning: Bool { server.process?.isRunning ?? false }

    /// Kills the server with SIGKILL and returns when it is gone; what it wrote to its AOF stays.
    package func kill() async {
        await server.process?.kill()
    }

    /// Starts the server again on the same files and addresses; one that runs is stopped first.
    package func restart() async throws {
        await stop()
        try await server.start()
    }

    /// Stops the server in an orderly way and returns when it is gone.
    package func stop() async {
        await server.process?.stop(with: SIGTERM)
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

/// The text as one word of a Redis configuration file.
func quoted(_ text: String) -> String {
    "\"" + text.flatMap { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" } + "\""
}

/// The text as a part of a URL.
func percentEncoded(_ text: String) -> String {
    text.utf8.map { byte in
        let character = Character(UnicodeScalar(byte))
        let isPlain = character.isASCII && (character.isLetter || character.isNumber || "-._~".contains(character))
        return isPlain ? "\(character)" : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }.joined()
}
