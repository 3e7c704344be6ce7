import Glibc

/// A pgbouncer of our own in front of a private Postgres, in a private directory.
///
/// It listens on a unix socket and lets everybody in as the superuser. As root it runs as the user `postgres`, since it
/// refuses root.
///
/// pgbouncer: <https://www.pgbouncer.org/config.html>
package final class PrivatePooler: Sendable {
    /// How long a client has a server's session to itself.
    package enum Mode: String, CaseIterable, Sendable {
        case session, transaction, statement
    }

    /// Its log.
    package var logPath: String { server.recipe.logPath }
    /// Where clients find the database `postgres`.
    package let url: String

    private let root: PrivateDirectory
    private let server: PrivateServer

    /// Starts a pooler and returns when it takes connections.
    ///
    /// - Parameters:
    ///   - postgres: What is behind it.
    ///   - mode: Its `pool_mode`.
    ///   - root: Where its files go.
    ///   - settings: Further settings such as `default_pool_size = 3`.
    /// - Returns: A pooler that takes connections.
    /// - Throws: ``ServerError``; `CancellationError`.
    package static func start(
        before postgres: PrivatePostgres, _ mode: Mode, in root: PrivateDirectory, settings: [String] = []
    ) async throws -> PrivatePooler {
        let pooler = try PrivatePooler(postgres, mode, root, settings)
        try await pooler.server.start()
        return pooler
    }

    private init(
        _ postgres: PrivatePostgres, _ mode: Mode, _ root: PrivateDirectory, _ settings: [String]
    ) throws(ServerError) {
        let account = try serverAccount()
        let part = try root.part("pgbouncer", owner: account.map { ($0.user, $0.group) })
        let file = "\(part)/pgbouncer.ini"
        let configuration = """
            [databases]
            postgres = host=\(postgres.directory) port=\(postgres.port) user=\(PrivatePostgres.user)
            [pgbouncer]
            pool_mode = \(mode.rawValue)
            listen_addr =
            unix_socket_dir = \(part)
            auth_type = any
            \(settings.joined(separator: "\n"))

            """
        try writeText(configuration, to: file)
        if let account, chown(file, account.user, account.group) != 0 {
            throw .refused(operation: "give away \(file)", errno: errno)
        }
        self.root = root
        url = "postgresql:///postgres?host=\(part)&port=6432&user=\(PrivatePostgres.user)"
        server = PrivateServer(
            .init(
                name: "pgbouncer", arguments: [try Program.pgbouncer(), file], user: account?.name, directory: part,
                logPath: "\(part)/pgbouncer.log", deathSignal: .kill,
                isReady: { _ in Descriptor.connecting(to: .unix(path: "\(part)/.s.PGSQL.6432")) != nil }))
    }

    /// Kills it with SIGKILL and returns when it is gone; what its clients asked for may still be done.
    package func kill() async {
        await server.process?.kill()
    }

    /// Starts it again, at the same address.
    package func restart() async throws {
        await kill()
        try await server.start()
    }
}
