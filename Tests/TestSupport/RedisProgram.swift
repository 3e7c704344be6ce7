import Foundation
import PrivateServers

/// The server program that the tests start, as it tells of itself.
package struct RedisProgram: Sendable {
    /// `redis` or `valkey`.
    package let name: String
    /// Its version, such as `7.0.15`.
    package let version: String

    /// Asks the program that private servers are started from.
    ///
    /// - Throws: `ServerError`, `ChildProcessError`; ``Unclear`` when it doesn't say.
    package static func current() async throws -> RedisProgram {
        // Like: Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=…
        let said = try await ChildProcess.run([try Program.redisServer(), "--version"]).output
        guard let match = said.prefixMatch(of: /(\w+) server v=(\S+)/) else { throw Unclear(said: said) }
        return RedisProgram(name: match.1.lowercased(), version: String(match.2))
    }

    /// Whether it can be asked when its disk has what was written: since 7.2.
    package var knowsWAITAOF: Bool { version.compare("7.2", options: .numeric) != .orderedAscending }

    /// Whether it is built with TLS.
    ///
    /// - Throws: `ServerError`, `ChildProcessError`.
    package static func knowsTLS() async throws -> Bool {
        // Either way it ends before it listens: for want of a certificate, or of TLS.
        let said = try await ChildProcess.run(
            [try Program.redisServer(), "--port", "0", "--tls-port", "1", "--logfile", ""]
        ).output
        guard said.contains("tls-cert-file") || said.contains("TLS support") else { throw Unclear(said: said) }
        return !said.contains("TLS support")
    }

    /// What the program said instead of a version.
    package struct Unclear: Error {
        /// All of it.
        package let said: String
    }
}
