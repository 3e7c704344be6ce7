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
    /// The password, when one was asked for.
    package let password: String?

    private let root: PrivateDirectory
    private let server: PrivateServer

    /// Starts a server and returns when it answers.
    ///
    /// - Parameters:
    ///   - root: Where its files go; nil for a new directory, removed with the server.
    ///   - name: The name of its part of the directory.
    ///   - program: The server's executable; nil for the machine's own.
    ///   - options: Lines of a configuration file, such as `appendfsync always`; they win over ours.
    ///   - password: What clients must give; nil for none.
    ///   - tcp: Whether it listens on a free port of the loopback interface too.
    /// - Returns: A server that answers.
    /// - Throws: ``ServerError``, with the end of the server's log when it did not come up; `CancellationError`.
    package static func start(
        in root: PrivateDirectory? = nil, name: String = "redis", program: String? = nil, options: [String] = [],
        password: String? = nil, tcp: Bool = false
    ) async throws -> PrivateRedis {
        let directory: PrivateDirectory = if let root { root } else { try await PrivateDirectory() }
        let part = try directory.part(name, owner: nil)
        var triesLeft = 5
        while true {
            let redis = try PrivateRedis(directory, part, program, options, password, port: tcp ? try freePort() : nil)
            do {
                try await redis.server.start()
                return redis
            } catch ServerError.didNotStart(_, _, let log) where tcp && triesLeft > 0 && log.contains("in use") {
                // Somebody took the port between our look and the server's.
                triesLeft -= 1
            }
        }
    }

    private init(
        _ root: PrivateDirectory, _ part: String, _ program: String?, _ options: [String], _ password: String?,
        port: Int?
    ) throws(ServerError) {
        let socketPath = "\(part)/redis.sock"
        let configuration = """
            port \(port ?? 0)
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
            \(password.map { "requirepass \(quoted($0))" } ?? "")
            \(options.joined(separator: "\n"))

            """
        // In a file, not in arguments: `ps` shows those to everybody.
        try writeText(configuration, to: "\(part)/redis.conf")
        self.root = root
        self.socketPath = socketPath
        self.port = port
        self.password = password
        directory = part
        let executable: String = if let program { program } else { try Program.redisServer() }
        server = PrivateServer(
            .init(
                name: "redis-server", arguments: [executable, "\(part)/redis.conf"],
                directory: part, logPath: "\(part)/redis.log", deathSignal: .kill,
                isReady: { _ in answersPing(at: socketPath, password: password) }))
    }

    /// Where clients find it: the loopback port when there is one, else the unix socket.
    package var url: String {
        let password = password.map(percentEncoded)
        guard let port else { return "unix://\(socketPath)" + (password.map { "?password=\($0)" } ?? "") }
        return "redis://" + (password.map { "default:\($0)@" } ?? "") + "127.0.0.1:\(port)/0"
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

/// Whether a Redis server at the socket answers PING with PONG; one that still loads its AOF doesn't.
private func answersPing(at path: String, password: String?) -> Bool {
    let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard number >= 0 else { return false }
    let descriptor = Descriptor(number)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let isConnected = withUnsafePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
    }
    let login = password.map { "*2\r\n$4\r\nAUTH\r\n$\($0.utf8.count)\r\n\($0)\r\n" } ?? ""
    let request = Array((login + "PING\r\n").utf8)
    // MSG_NOSIGNAL: a server that ends at this moment must not end us by SIGPIPE.
    guard isConnected, send(descriptor.number, request, request.count, Int32(MSG_NOSIGNAL)) > 0 else {
        return false
    }
    var answer = ""
    let deadline = Deadline.after(.milliseconds(500))
    while wait(for: .reading, on: descriptor.number, until: deadline, interrupt: nil) == .ready {
        let chunk = [UInt8](unsafeUninitializedCapacity: 512) { bytes, count in
            count = max(0, read(descriptor.number, bytes.baseAddress, bytes.count))
        }
        answer += String(decoding: chunk, as: UTF8.self)
        if answer.contains("+PONG") { return true }
        if chunk.isEmpty || answer.contains("-LOADING") { return false }
    }
    return false
}

/// The text as one word of a Redis configuration file.
private func quoted(_ text: String) -> String {
    "\"" + text.flatMap { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" } + "\""
}

/// The text as a part of a URL.
private func percentEncoded(_ text: String) -> String {
    text.utf8.map { byte in
        let character = Character(UnicodeScalar(byte))
        let isPlain = character.isASCII && (character.isLetter || character.isNumber || "-._~".contains(character))
        return isPlain ? "\(character)" : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }.joined()
}
