import Glibc
import Synchronization
import ThreadedIO

/// The one process of a private server, through its starts and ends.
final class PrivateServer: Sendable {
    /// What a start is made of.
    struct Recipe: Sendable {
        let name: String
        let arguments: [String]
        var user: String?
        let directory: String
        let logPath: String
        let deathSignal: ChildProcess.DeathSignal
        /// Whether the process serves by now; called on a thread that it may block for a moment.
        let isReady: @Sendable (pid_t) -> Bool
        /// What its environment differs in from a clean one.
        var environment: [String: String?] = [:]
    }

    static let startLimit: Duration = .seconds(30)
    private static let logTailLines = 20

    let recipe: Recipe
    private let current = Mutex<ChildProcess?>(nil)

    init(_ recipe: Recipe) {
        self.recipe = recipe
    }

    var process: ChildProcess? { current.withLock { $0 } }

    /// Starts the process and returns when it serves.
    func start() async throws {
        let process: ChildProcess
        do {
            process = try await ChildProcess.spawn(
                recipe.arguments, environment: cleanEnvironment().merging(recipe.environment) { $1 },
                in: recipe.directory, as: recipe.user,
                output: .appended(to: recipe.logPath), errors: .appended(to: recipe.logPath),
                parentDeathSignal: recipe.deathSignal)
        } catch {
            throw ServerError(error)
        }
        let lane = BlockingLane(name: "ready?")
        let (deadline, isReady, pid) = (Deadline.after(Self.startLimit), recipe.isReady, process.pid)
        while await !lane.run({ isReady(pid) }) {
            if let status = process.exitStatus { throw failure("it ended with \(status)") }
            if deadline.hasPassed {
                await process.kill()
                throw failure("it was not ready within \(Self.startLimit)")
            }
            do {
                try await Task.sleep(for: .milliseconds(5))
            } catch {
                await process.kill()
                throw error
            }
        }
        current.withLock { $0 = process }
    }

    /// The end of the server's log.
    var logTail: String {
        let lines = (readText(recipe.logPath) ?? "").split(separator: "\n")
        return lines.suffix(Self.logTailLines).joined(separator: "\n")
    }

    private func failure(_ reason: String) -> ServerError {
        .didNotStart(server: recipe.name, reason: reason, log: logTail)
    }
}

/// Changes to our environment so that a program of Postgres does only what its arguments say.
func cleanEnvironment() -> [String: String?] {
    var changes: [String: String?] = ["LC_ALL": "C"]
    var entry = environ
    while let line = entry.pointee {
        let key = String(cString: line).prefix { $0 != "=" }
        if key.hasPrefix("PG") { changes.updateValue(nil, forKey: String(key)) }
        entry += 1
    }
    return changes
}

/// A port of the loopback interface that nobody listens on at this moment.
func freePort() throws(ServerError) -> Int {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard number >= 0 else { throw .refused(operation: "make a socket", errno: errno) }
    let descriptor = Descriptor(number)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            bind(descriptor.number, address, length) == 0 ? getsockname(descriptor.number, address, &length) : -1
        }
    }
    guard result == 0 else { throw .refused(operation: "find a free port", errno: errno) }
    return Int(UInt16(bigEndian: address.sin_port))
}

/// The text of a small file, or nil when it can't be read.
func readText(_ path: String) -> String? {
    let number = open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return nil }
    let descriptor = Descriptor(number)
    var text: [UInt8] = []
    while true {
        let chunk = [UInt8](unsafeUninitializedCapacity: 64 * 1024) { bytes, count in
            count = max(0, read(descriptor.number, bytes.baseAddress, bytes.count))
        }
        if chunk.isEmpty { return String(decoding: text, as: UTF8.self) }
        text += chunk
    }
}

/// Writes a file: one that is there keeps its owner and rights, a new one only we may read.
func writeText(_ text: String, to path: String) throws(ServerError) {
    let number = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard number >= 0 else { throw .refused(operation: "write \(path)", errno: errno) }
    let descriptor = Descriptor(number)
    let bytes = Array(text.utf8)
    guard write(descriptor.number, bytes, bytes.count) == bytes.count else {
        throw .refused(operation: "write \(path)", errno: errno)
    }
}
