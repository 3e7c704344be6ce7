/// Why a private server could not be started.
package enum ServerError: Error, CustomStringConvertible {
    /// The program is not on this machine; the package is Debian's.
    case notInstalled(program: String, package: String)
    /// A variable such as `ONEWRITE_TEST_REDIS` names a program that is not there.
    case notAt(path: String, variable: String)
    /// It ended, or was not ready in time; with the end of its log.
    case didNotStart(server: String, reason: String, log: String)
    /// The file system, or the kernel, refused.
    case refused(operation: String, reason: String)

    package var description: String {
        switch self {
        case .notInstalled(let program, let package):
            "\(program) isn't installed: apt-get install \(package)"
        case .notAt(let path, let variable):
            "no program is at \(path), where \(variable) has it. Give the full path, or unset it for the machine's own"
        case .didNotStart(let server, let reason, let log):
            "\(server) did not start: \(reason)" + (log.isEmpty ? "" : "\nThe end of its log:\n\(log)")
        case .refused(let operation, let reason):
            "can't \(operation): \(reason)"
        }
    }

    init(_ error: ChildProcessError) {
        switch error {
        case .notFound(let program): self = .notInstalled(program: program, package: program)
        case .spawn, .stillRunning: self = .refused(operation: "run a program", reason: error.description)
        }
    }
}
