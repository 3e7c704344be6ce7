package import Glibc

/// A Postgres server of our own, in a private directory, that nobody else can reach.
///
/// It commits durably (`fsync=on`), as a real one does. Whoever may enter its directory is let in without a password.
/// As root it runs as the user `postgres`, since `initdb` refuses root. It ends with this process, however that ends.
///
/// Postgres: <https://www.postgresql.org/docs/current/server-start.html>
package final class PrivatePostgres: Sendable {
    /// How a server is stopped.
    package enum StopMode: Sendable {
        /// Sessions are ended and their transactions rolled back; everything is written.
        case fast
        /// As a crash: the next start recovers from the write-ahead log.
        case immediate
    }

    /// The superuser's name.
    package static let user = "postgres"

    /// The part of the private directory that holds the socket and the server's files: libpq's `host`.
    package let directory: String
    /// The port: of the loopback interface when that was asked for, and always in the socket's name.
    package let port: Int
    /// The server's log.
    package var logPath: String { server.recipe.logPath }

    private let listensOnTCP: Bool
    private let root: PrivateDirectory
    private let server: PrivateServer

    /// Makes a new cluster, starts it, and returns when it takes connections.
    ///
    /// - Parameters:
    ///   - root: Where its files go; nil for a new directory, removed with the server.
    ///   - name: The name of its part of the directory.
    ///   - settings: Settings such as `lock_timeout=2s`; they win over ours.
    ///   - access: Lines of `pg_hba.conf`, such as `host all guarded 127.0.0.1/32 scram-sha-256`; they win over ours,
    ///     which let everybody in.
    ///   - tcp: Whether it listens on a free port of the loopback interface too.
    ///   - tls: What clients may speak at that port; nil for no TLS.
    /// - Returns: A server that takes connections.
    /// - Throws: ``ServerError``, with the end of the server's log when it did not come up; `CancellationError`.
    package static func start(
        in root: PrivateDirectory? = nil, name: String = "postgres", settings: [String] = [], access: [String] = [],
        tcp: Bool = false, tls: PrivateTLS? = nil
    ) async throws -> PrivatePostgres {
        let directory: PrivateDirectory = if let root { root } else { try await PrivateDirectory() }
        let account = try serverAccount()
        let part = try directory.part(name, owner: account.map { ($0.user, $0.group) })
        try await initialize(part, as: account?.name)
        let rules = access + ["local all all trust", "host all all 127.0.0.1/32 trust", ""]
        try writeText(rules.joined(separator: "\n"), to: "\(part)/data/pg_hba.conf")
        if let tls {
            // Its own copies: the server reads no key that another user owns.
            for (file, copy) in [(tls.certificate.file, "server.crt"), (tls.certificate.keyFile, "server.key")] {
                let path = "\(part)/data/\(copy)"
                try writeText(readText(file) ?? "", to: path)
                if let account, chown(path, account.user, account.group) != 0 {
                    throw ServerError.refused(operation: "give away \(path)", errno: errno)
                }
            }
        }
        let settings = settings + (tls == nil ? [] : ["ssl=on"])
        var triesLeft = 5
        while true {
            let postgres = try PrivatePostgres(
                directory, part, settings, as: account?.name, port: tcp ? try freePort() : 5432, listensOnTCP: tcp)
            do {
                try await postgres.server.start()
                return postgres
            } catch ServerError.didNotStart(_, _, let log) where tcp && triesLeft > 0 && log.contains("in use") {
                // Somebody took the port between our look and the server's.
                triesLeft -= 1
            }
        }
    }

    private init(
        _ root: PrivateDirectory, _ part: String, _ settings: [String], as account: String?, port: Int,
        listensOnTCP: Bool
    ) throws(ServerError) {
        let settings =
            [
                "listen_addresses=\(listensOnTCP ? "127.0.0.1" : "")", "port=\(port)",
                "unix_socket_directories=\(part)", "shared_buffers=64MB", "max_connections=300",
                // Files of its own directory, so that a killed server leaves nothing in /dev/shm.
                "dynamic_shared_memory_type=mmap", "logging_collector=off", "log_line_prefix=%m [%p] ",
            ] + settings
        self.root = root
        self.port = port
        self.listensOnTCP = listensOnTCP
        directory = part
        server = PrivateServer(
            .init(
                name: "postgres",
                arguments: [try Program.postgres("postgres"), "-D", "\(part)/data"] + settings.flatMap { ["-c", $0] },
                user: account, directory: part, logPath: "\(part)/postgres.log", deathSignal: .quit,
                isReady: { isServing($0, data: "\(part)/data") }))
    }

    private static func initialize(_ part: String, as account: String?) async throws {
        let log = "\(part)/initdb.log"
        let child: ChildProcess
        do {
            child = try await ChildProcess.spawn(
                [
                    try Program.postgres("initdb"), "--pgdata=\(part)/data", "--username=\(user)", "--auth=trust",
                    "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
                ],
                environment: cleanEnvironment(), in: part, as: account, output: .appended(to: log),
                errors: .appended(to: log))
        } catch let error as ChildProcessError {
            throw ServerError(error)
        }
        let status = try await child.exit(within: .seconds(120))
        guard status == .exited(0) else {
            throw ServerError.didNotStart(server: "initdb", reason: "it ended with \(status)", log: readText(log) ?? "")
        }
    }

    /// Where clients find the database `postgres`.
    package var url: String { url(database: "postgres") }

    /// Where clients find a database.
    package func url(database: String) -> String {
        listensOnTCP
            ? "postgresql://\(Self.user)@127.0.0.1:\(port)/\(database)"
            : "postgresql:///\(database)?host=\(directory)&port=\(port)&user=\(Self.user)"
    }

    /// Makes an empty database.
    ///
    /// - Parameters:
    ///   - name: A new name of ASCII letters, digits and `_`.
    ///   - options: For `createdb`, such as `--encoding=LATIN1`.
    /// - Returns: Where clients find it.
    /// - Throws: ``ServerError/refused(operation:reason:)`` with what `createdb` said; `CancellationError`.
    package func createDatabase(_ name: String, options: [String] = []) async throws -> String {
        let result = try await ChildProcess.run(
            [
                try Program.postgres("createdb"), "--host=\(directory)", "--port=\(port)", "--username=\(Self.user)",
                "--no-password", "--template=template0",
            ] + options + [name], environment: cleanEnvironment(), in: "/")
        guard result.status == .exited(0) else {
            throw ServerError.refused(operation: "create the database \(name)", reason: result.errors)
        }
        return url(database: name)
    }

    /// The process ID of the present, or last, postmaster.
    package var pid: pid_t { server.process?.pid ?? 0 }

    /// Whether the postmaster runs.
    package var isRunning: Bool { server.process?.isRunning ?? false }

    /// Kills the postmaster and every process of its with SIGKILL, and returns when all are gone; what was committed
    /// stays.
    package func kill() async {
        guard let process = server.process, process.isRunning else { return }
        // Stopped, it can neither start another backend nor reap one, so that the process IDs stay theirs.
        process.send(SIGSTOP)
        let backends = ProcessTable.children(of: process.pid)
        for backend in backends { _ = Glibc.kill(backend, SIGKILL) }
        await process.kill()
        while backends.contains(where: ProcessTable.isRunning) { await Task.yield() }
    }

    /// Starts the server again on the same files and addresses; one that runs is stopped first.
    package func restart(_ mode: StopMode = .fast) async throws {
        await stop(mode)
        try await server.start()
    }

    /// Stops the server and returns when it is gone.
    package func stop(_ mode: StopMode = .fast) async {
        await server.process?.stop(with: mode == .fast ? SIGINT : SIGQUIT, within: .seconds(30))
    }

    /// Stops all its processes where they stand (SIGSTOP): connections stay up, and nothing answers.
    package func pause() {
        guard let process = server.process, process.isRunning else { return }
        process.send(SIGSTOP)
        for backend in ProcessTable.children(of: process.pid) { _ = Glibc.kill(backend, SIGSTOP) }
    }

    /// Lets paused processes run on (SIGCONT).
    package func resume() {
        guard let process = server.process, process.isRunning else { return }
        for backend in ProcessTable.children(of: process.pid) { _ = Glibc.kill(backend, SIGCONT) }
        process.send(SIGCONT)
    }
}

/// Whom the server runs as: `postgres` when we are root, nil for ourselves.
func serverAccount() throws(ServerError) -> (name: String, user: uid_t, group: gid_t)? {
    guard getuid() == 0 else { return nil }
    guard let entry = getpwnam("postgres") else {
        throw .refused(
            operation: "run Postgres as root",
            reason: "it refuses that, and there is no user postgres to run it as: apt-get install postgresql")
    }
    return ("postgres", entry.pointee.pw_uid, entry.pointee.pw_gid)
}

/// Whether the postmaster says in its pid file that it takes connections: what `pg_ctl --wait` looks at.
private func isServing(_ pid: pid_t, data: String) -> Bool {
    let lines = (readText("\(data)/postmaster.pid") ?? "").split(separator: "\n", omittingEmptySubsequences: false)
    return lines.count > 7 && lines[0] == "\(pid)" && lines[7].hasPrefix("ready")
}
