package import Glibc

extension ProcessTable {
    /// The CPU time of a server: of its process, of its child processes, and of those that have ended.
    ///
    /// - Parameter pid: Its first process, as ``PrivateRedis/pid`` and ``PrivatePostgres/pid``.
    /// - Returns: User and system time, in steps of the kernel's clock tick (10 ms); zero for a process that is gone.
    package static func timeOfServer(_ pid: pid_t) -> Duration {
        children(of: pid).reduce(time(of: pid, withEnded: true)) { $0 + time(of: $1, withEnded: false) }
    }

    /// The CPU time of this process's children that have ended and were reaped.
    ///
    /// getrusage(2): <https://man7.org/linux/man-pages/man2/getrusage.2.html>
    package static var timeOfEndedChildren: Duration {
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        return [usage.ru_utime, usage.ru_stime].reduce(.zero) {
            $0 + .seconds($1.tv_sec) + .microseconds($1.tv_usec)
        }
    }

    private static func time(of pid: pid_t, withEnded: Bool) -> Duration {
        // After the name, from the 3rd on: the 14th and 15th are its own time, the next two that of its ended children.
        guard let text = readText("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return .zero }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 14 else { return .zero }
        let ticks = fields[11...(withEnded ? 14 : 12)].reduce(0) { $0 + (Int($1) ?? 0) }
        return .milliseconds(ticks * 1000 / max(1, sysconf(Int32(_SC_CLK_TCK))))
    }
}
