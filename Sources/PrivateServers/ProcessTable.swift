package import Glibc

/// What the kernel shows of other processes.
///
/// proc(5): <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
package enum ProcessTable {
    /// The processes whose parent is this one, ended ones that nobody has reaped among them.
    package static func children(of parent: pid_t) -> [pid_t] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var children: [pid_t] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let pid = pid_t(name), status(of: pid)?.parent == parent { children.append(pid) }
        }
        return children
    }

    /// Whether there is such a process and it has not ended.
    package static func isRunning(_ pid: pid_t) -> Bool {
        // Z and X: ended, and not reaped yet.
        status(of: pid).map { $0.state != "Z" && $0.state != "X" } ?? false
    }

    /// Whether a process is stopped by a signal, as SIGSTOP does.
    package static func isStopped(_ pid: pid_t) -> Bool {
        status(of: pid)?.state == "T"
    }

    private static func status(of pid: pid_t) -> (state: Character, parent: pid_t)? {
        // After the name, which stands in parentheses and may hold anything: state, parent, …
        guard let text = readText("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[end...].split(separator: " ")
        guard fields.count > 2, let state = fields[1].first, let parent = pid_t(fields[2]) else { return nil }
        return (state, parent)
    }
}
