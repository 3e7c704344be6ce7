import CThreadedIO
import Glibc

/// The exact call that starts a child: a launcher that ties it to us, then the program itself.
///
/// `setpriv` changes the user and sets the signal for our death, `sh` looks whether we died before that. Each replaces
/// itself by the next, so the process ID stays the same.
///
/// setpriv(1): <https://man7.org/linux/man-pages/man1/setpriv.1.html>
struct Launch: Sendable {
    let name: String
    private let arguments: [String]
    private let environment: [String]

    init(
        _ arguments: [String], environment changes: [String: String?], directory: String?, user: String?,
        parentDeathSignal: ChildProcess.DeathSignal?
    ) throws(ChildProcessError) {
        guard let first = arguments.first else { throw .notFound("(none)") }
        let program = try Program.path(of: first)
        name = String(first.split(separator: "/").last ?? "")
        var privileges: [String] = []
        if let user { privileges += ["--reuid=\(user)", "--regid=\(user)", "--init-groups"] }
        var script = "cd -- \"$1\" || exit 126; shift 2; exec \"$@\""
        if let parentDeathSignal {
            privileges.append("--pdeathsig=\(parentDeathSignal.rawValue)")
            script = "[ \"$PPID\" = \"$2\" ] || exit 125; " + script
        }
        let launcher = privileges.isEmpty ? [] : [try Program.path(of: "setpriv")] + privileges + ["--"]
        self.arguments =
            launcher + ["/bin/sh", "-c", script, "sh", directory ?? ".", "\(getpid())", program] + arguments.dropFirst()
        environment = Self.environment(with: changes)
    }

    /// Our own environment with the changes made.
    private static func environment(with changes: [String: String?]) -> [String] {
        var lines: [String] = []
        var entry = environ
        while let line = entry.pointee {
            let text = String(cString: line)
            let key = String(text.prefix { $0 != "=" })
            if !changes.keys.contains(key) { lines.append(text) }
            entry += 1
        }
        return lines + changes.compactMap { key, value in value.map { "\(key)=\($0)" } }
    }

    /// Forks from the calling thread, which must live as long as the child.
    func spawn(input: Redirection, output: Redirection, errors: Redirection) throws(ChildProcessError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        input.add(to: &actions, as: 0)
        output.add(to: &actions, as: 1)
        errors.add(to: &actions, as: 2)
        onewrite_spawn_closes_from(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        var pid: pid_t = 0
        let result = withCStrings(arguments) { argv in
            withCStrings(environment) { environment in
                posix_spawn(&pid, arguments[0], &actions, &attributes, argv, environment)
            }
        }
        guard result == 0 else { throw .spawn(name, errno: result) }
        return pid
    }
}

/// Calls the body with the strings as a C array that ends with NULL.
private func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
) -> Result {
    let copies = strings.map { strdup($0) }
    defer { copies.forEach { free($0) } }
    return body(copies + [nil])
}
