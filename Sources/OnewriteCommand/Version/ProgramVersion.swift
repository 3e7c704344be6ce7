import CBuild
import Compression
import Foundation
import HTTPClient
import KafkaClient
import PostgresClient
import RedisClient
import Serving

/// What this program is, and the C libraries that it found when it was started.
struct ProgramVersion: Encodable {
    static let number = "0.1.0"

    /// A C library, by the name that its authors give it.
    struct Library: Encodable {
        let name: String
        let version: String
    }

    let schema = "onewrite/version/v1"
    let version = Self.number
    /// What it was built from; nil for a build that wasn't told (`ONEWRITE_COMMIT`).
    let commit = ow_build_commit().map { String(cString: $0) }
    let libraries =
        [
            Library(name: "hiredis", version: RedisConnection.libraryVersion),
            Library(name: "libpq", version: PostgresConnection.libraryVersion),
            Library(name: "libcurl", version: HTTPPoster.libraryVersion),
            Library(name: "openssl", version: CryptoLibrary.version),
            Library(name: "zlib", version: Decompressor.libraryVersion(of: .gzip)),
            Library(name: "libzstd", version: Decompressor.libraryVersion(of: .zstd)),
        ] + (KafkaLibrary.version.map { [Library(name: "librdkafka", version: $0)] } ?? [])

    /// Some lines for people; the first is `onewrite` and the number.
    var text: String {
        let rows =
            [("commit", commit ?? "unknown (a development build)")] + libraries.map { ($0.name, $0.version) }
        let width = (rows.map(\.0.count).max() ?? 0) + 2
        return
            (["onewrite \(version)"]
            + rows.map { $0.0.padding(toLength: width, withPad: " ", startingAt: 0) + $0.1 }).joined(separator: "\n")
    }

    private enum CodingKeys: String, CodingKey { case schema, version, commit, libraries }

    /// By hand, so that a commit which isn't known is null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(schema, forKey: .schema)
        try container.encode(version, forKey: .version)
        try container.encode(commit, forKey: .commit)
        try container.encode(libraries, forKey: .libraries)
    }
}
