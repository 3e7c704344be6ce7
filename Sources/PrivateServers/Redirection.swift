import Glibc
import Synchronization

extension ChildProcess {
    /// Where a child's stdin comes from.
    package enum Input: Sendable {
        /// `/dev/null`.
        case empty
        /// A file.
        case file(String)
        /// A pipe that nobody writes to: it ends with ``ChildProcess/closeInput()``, or with this process.
        case held
    }

    /// Where a child's stdout or stderr goes to.
    package enum Output: Sendable {
        /// `/dev/null`.
        case discarded
        /// Where our own goes to.
        case inherited
        /// The end of a file, made when it is missing.
        case appended(to: String)
        /// An ``OutputPipe`` of the child. Somebody must read it, or the child waits when the pipe is full.
        case piped
    }
}

/// What a descriptor of the child is made of.
enum Redirection: Sendable {
    case inherited
    case open(String, flags: Int32)
    case duplicate(Descriptor)

    func add(to actions: inout posix_spawn_file_actions_t, as descriptor: Int32) {
        switch self {
        case .inherited: break
        case .open(let path, let flags):
            posix_spawn_file_actions_addopen(&actions, descriptor, path, flags, 0o600)
        case .duplicate(let source): posix_spawn_file_actions_adddup2(&actions, source.number, descriptor)
        }
    }
}

extension ChildProcess.Input {
    func open() throws(ChildProcessError) -> (child: Redirection, held: Descriptor?) {
        switch self {
        case .empty: return (.open("/dev/null", flags: O_RDONLY), nil)
        case .file(let path): return (.open(path, flags: O_RDONLY), nil)
        case .held:
            let (reading, writing) = try Descriptor.pipe()
            return (.duplicate(reading), writing)
        }
    }
}

extension ChildProcess.Output {
    func open() throws(ChildProcessError) -> (child: Redirection, pipe: OutputPipe?) {
        switch self {
        case .discarded: return (.open("/dev/null", flags: O_WRONLY), nil)
        case .inherited: return (.inherited, nil)
        case .appended(let path): return (.open(path, flags: O_WRONLY | O_CREAT | O_APPEND), nil)
        case .piped:
            let (reading, writing) = try Descriptor.pipe()
            return (.duplicate(writing), OutputPipe(reading))
        }
    }
}

/// A file descriptor that is closed once.
final class Descriptor: Sendable {
    let number: Int32
    private let isOpen = Mutex(true)

    init(_ number: Int32) {
        self.number = number
    }

    deinit {
        close()
    }

    func close() {
        isOpen.withLock { isOpen in
            if isOpen { _ = Glibc.close(number) }
            isOpen = false
        }
    }

    static func pipe() throws(ChildProcessError) -> (reading: Descriptor, writing: Descriptor) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw .spawn("a pipe", errno: errno) }
        // Our own children close all they inherit; this is for those that somebody else starts.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (Descriptor(ends[0]), Descriptor(ends[1]))
    }
}
