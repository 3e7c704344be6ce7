import Glibc

/// A secret that a file holds, in one line: a password, or an address with one, as systemd's `LoadCredential=` and
/// Kubernetes's secrets put it there.
package enum SecretFile {
    /// Why there is none.
    package struct Trouble: Error, Sendable, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// More is no secret.
    private static let bytesMax = 4096

    /// Reads one.
    ///
    /// - Parameter path: Where it is.
    /// - Returns: The file's text without the line's end, which may be missing; never empty.
    /// - Throws: ``Trouble``, which names the file and nothing of what is in it.
    package static func read(_ path: String) throws(Trouble) -> String {
        func trouble(_ why: String) -> Trouble { Trouble(description: "the file \(path) \(why)") }
        guard let file = fopen(path, "re") else { throw trouble("can't be read: \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: bytesMax + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0 else { throw trouble("can't be read") }
        guard count <= bytesMax, let text = String(validating: bytes.prefix(count), as: UTF8.self) else {
            throw trouble("holds no secret: expected a line of at most \(bytesMax) bytes, in UTF-8")
        }
        let secret = text.hasSuffix("\r\n") || text.hasSuffix("\n") ? text.dropLast() : text[...]
        guard !secret.isEmpty, !secret.utf8.contains(where: { $0 == 0 || $0 == 10 }) else {
            throw trouble("holds no secret: expected one line")
        }
        return String(secret)
    }
}
