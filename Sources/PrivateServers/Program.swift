import Glibc

/// Finds the programs that are started.
package enum Program {
    /// The Redis server: the first of `ONEWRITE_TEST_REDIS`, else `redis-server`, or `valkey-server` when only that is there.
    ///
    /// - Throws: ``ServerError/notInstalled(program:package:)``, ``ServerError/notAt(path:variable:)``.
    package static func redisServer() throws(ServerError) -> String {
        if let path = try chosen(by: "ONEWRITE_TEST_REDIS", "") { return path }
        guard let path = inSearchPath("redis-server") ?? inSearchPath("valkey-server") else {
            throw .notInstalled(program: "redis-server", package: "redis-server")
        }
        return path
    }

    /// The path of a program of Postgres, such as `initdb`: in the first directory of `ONEWRITE_TEST_POSTGRES`, else of the
    /// newest that is installed.
    ///
    /// Debian keeps the server's programs off `PATH`, in a directory a version; all of one version are in the same one.
    ///
    /// - Throws: ``ServerError/notInstalled(program:package:)``, ``ServerError/notAt(path:variable:)``.
    package static func postgres(_ name: String) throws(ServerError) -> String {
        if let path = try chosen(by: "ONEWRITE_TEST_POSTGRES", "/\(name)") { return path }
        for version in debianPostgresVersions().sorted(by: >) {
            let folder = "/usr/lib/postgresql/\(version)/bin"
            if isExecutable("\(folder)/postgres"), isExecutable("\(folder)/\(name)") { return "\(folder)/\(name)" }
        }
        guard inSearchPath("postgres") != nil, let path = inSearchPath(name) else {
            throw .notInstalled(program: name, package: "postgresql")
        }
        return path
    }

    /// The pooler `pgbouncer`, which Debian keeps in `/usr/sbin`, off most people's `PATH`.
    ///
    /// - Throws: ``ServerError/notInstalled(program:package:)``.
    static func pgbouncer() throws(ServerError) -> String {
        let debian = "/usr/sbin/pgbouncer"
        guard let path = inSearchPath("pgbouncer") ?? (isExecutable(debian) ? debian : nil) else {
            throw .notInstalled(program: "pgbouncer", package: "pgbouncer")
        }
        return path
    }

    /// The path of a program, searched in `PATH` when its name has no slash.
    static func path(of name: String) throws(ChildProcessError) -> String {
        let path = name.contains("/") ? (isExecutable(name) ? name : nil) : inSearchPath(name)
        guard let path else { throw .notFound(name) }
        return path
    }

    // The first path of a variable such as `ONEWRITE_TEST_REDIS=path:path`, and a suffix; nil when that is not set, or empty.
    private static func chosen(by variable: String, _ suffix: String) throws(ServerError) -> String? {
        guard let first = getenv(variable).flatMap({ String(cString: $0).split(separator: ":").first }) else {
            return nil
        }
        let path = String(first) + suffix
        guard path.hasPrefix("/"), isExecutable(path) else { throw .notAt(path: path, variable: variable) }
        return path
    }

    private static func debianPostgresVersions() -> [Int] {
        guard let folder = opendir("/usr/lib/postgresql") else { return [] }
        defer { closedir(folder) }
        var versions: [Int] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let version = Int(name) { versions.append(version) }
        }
        return versions
    }

    private static func inSearchPath(_ name: String) -> String? {
        let folders = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return folders.split(separator: ":").map { "\($0)/\(name)" }.first(where: isExecutable)
    }

    private static func isExecutable(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }
}
