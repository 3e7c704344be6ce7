import Foundation

/// The file of bearer tokens: who may do what, and the hashes of their tokens; no token itself.
///
/// A JSON object `{"schema":"onewrite/tokens/v1","tokens":[{"name","role","sha256","created"}]}`, which only its owner can read.
package struct TokenFile: Sendable, Equatable {
    /// One token.
    package struct Entry: Codable, Sendable, Equatable {
        /// Whose it is: what is recorded of who did something.
        package let name: String
        package let role: Role
        /// The token's hash, in hexadecimal digits.
        package let sha256: String
        /// When it was made, ISO 8601 in UTC.
        package let created: String
    }

    /// Why a file can't be used.
    package struct Trouble: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    private struct Contents: Codable {
        let schema: String
        var tokens: [Entry]
    }

    private static let schema = "onewrite/tokens/v1"
    private static let prefix = "onewrite_"
    /// More are a mistake; each request is compared with all of them.
    package static let countMax = 1000

    package private(set) var entries: [Entry]

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - isOptional: Whether it may be missing.
    /// - Throws: ``Trouble`` that names the file.
    package init(path: String, isOptional: Bool = false) throws(Trouble) {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch CocoaError.fileReadNoSuchFile where isOptional {
            entries = []
            return
        } catch {
            throw Trouble(description: "the file of tokens \(path) can't be read. Make one: onewrite token add")
        }
        let contents: Contents
        do {
            contents = try JSONDecoder().decode(Contents.self, from: data)
        } catch {
            throw Trouble(description: "the file of tokens \(path) is not one that onewrite token add has written")
        }
        guard contents.schema == Self.schema else {
            throw Trouble(
                description: "the file of tokens \(path) is a \(contents.schema.debugDescription), not \(Self.schema)")
        }
        guard contents.tokens.count <= Self.countMax else {
            throw Trouble(description: "the file of tokens \(path) has more than \(Self.countMax) tokens")
        }
        entries = contents.tokens
    }

    /// The entry of a token; nil when there is none.
    ///
    /// Looks at all of them in the same time, wherever it is.
    package func entry(of token: String) -> Entry? {
        let hash = TokenDigest.hex(token)
        var found: Entry?
        for entry in entries where TokenDigest.areEqual(entry.sha256, hash) { found = entry }
        return found
    }

    /// Adds a token.
    ///
    /// - Parameters:
    ///   - name: Whose.
    ///   - role: What it lets do.
    ///   - created: When.
    /// - Returns: The token, which is told nowhere else; nil when the name is taken.
    package mutating func add(name: String, role: Role, created: String) -> String? {
        guard !entries.contains(where: { $0.name == name }) else { return nil }
        let token = Self.prefix + TokenDigest.random()
        entries.append(Entry(name: name, role: role, sha256: TokenDigest.hex(token), created: created))
        return token
    }

    /// Removes a token by its name; false when there is none.
    package mutating func remove(name: String) -> Bool {
        let count = entries.count
        entries.removeAll { $0.name == name }
        return entries.count < count
    }

    /// Writes the file anew, whole or not at all; only its owner can read it.
    ///
    /// - Parameter path: Where.
    /// - Throws: ``Trouble``.
    package func write(to path: String) throws(Trouble) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let beside = "\(path).\(getpid())"
        do {
            let data = try encoder.encode(Contents(schema: Self.schema, tokens: entries))
            let descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
            let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            try handle.write(contentsOf: data + Data("\n".utf8))
            try handle.synchronize()
            guard rename(beside, path) == 0 else { throw CocoaError(.fileWriteUnknown) }
        } catch {
            unlink(beside)
            throw Trouble(
                description: "the file of tokens \(path) can't be written: \(String(cString: strerror(errno)))")
        }
    }
}
