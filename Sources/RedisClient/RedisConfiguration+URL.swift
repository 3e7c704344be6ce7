import FoundationEssentials

extension RedisConfiguration {
    /// Parses a URL.
    ///
    /// - `redis://[[user]:password@]host[:port][/database]`
    /// - `unix:///path[?db=N][&username=…][&password=…]`, also as `redis+unix://` and `redis-socket://`
    ///
    /// Reserved characters are percent-encoded, an IPv6 host stands in brackets. `rediss://` is refused: this client
    /// doesn't speak TLS.
    ///
    /// - Parameter url: The URL.
    /// - Throws: What is wrong with it; no error repeats any part of it.
    ///
    /// IANA: <https://www.iana.org/assignments/uri-schemes/prov/redis>
    package init(url: String) throws(RedisURLError) {
        guard let parts = URLComponents(string: url, encodingInvalidCharacters: false), let scheme = parts.scheme else {
            throw .malformed
        }
        guard parts.fragment == nil else { throw .malformed }
        switch scheme.lowercased() {
        case "redis": try self.init(.tcp(of: parts), database: Self.database(inPath: parts.path))
        case "unix", "redis+unix", "redis-socket": try self.init(.unix(of: parts))
        case "rediss": throw .tlsUnsupported
        default: throw .unknownScheme
        }
        username = parts.user.flatMap { $0.isEmpty ? nil : $0 }
        password = parts.password
        try take(options: parts.queryItems ?? [])
        guard username == nil || password != nil else { throw .userWithoutPassword }
    }

    private mutating func take(options: [URLQueryItem]) throws(RedisURLError) {
        for option in options {
            switch option.name {
            case "db", "database": database = try Self.database(option.value ?? "")
            case "user", "username": username = option.value
            case "password": password = option.value
            default: throw .unknownOption
            }
        }
    }

    private static func database(inPath path: String) throws(RedisURLError) -> Int {
        path.isEmpty || path == "/" ? 0 : try database(String(path.dropFirst()))
    }

    private static func database(_ text: String) throws(RedisURLError) -> Int {
        guard let number = Int32(text), number >= 0 else { throw .badDatabase }
        return Int(number)
    }
}

extension RedisConfiguration.Endpoint {
    fileprivate static func tcp(of parts: URLComponents) throws(RedisURLError) -> Self {
        let host = parts.host ?? ""
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        guard !bare.isEmpty else { throw .missingHost }
        let port = parts.port ?? 6379
        guard (1...65535).contains(port) else { throw .badPort }
        return .tcp(host: bare, port: port)
    }

    fileprivate static func unix(of parts: URLComponents) throws(RedisURLError) -> Self {
        guard (parts.host ?? "").isEmpty, parts.path.utf8.count > 1 else { throw .missingPath }
        // hiredis would cut a longer path short, and connect to whatever is there.
        guard parts.path.utf8.count <= 107, !parts.path.utf8.contains(0) else { throw .badPath }
        return .unix(path: parts.path)
    }
}

/// Why a URL names no Redis server.
///
/// The URL is not repeated, since it may hold a password.
package enum RedisURLError: Error, Sendable, Equatable {
    case malformed, unknownScheme, missingHost, badPort, badDatabase, missingPath, badPath
    case unknownOption, userWithoutPassword, tlsUnsupported
}

extension RedisURLError: CustomStringConvertible {
    package var description: String {
        let examples = "redis://[[user]:password@]host[:port][/database] or unix:///path[?db=N]"
        return switch self {
        case .malformed:
            "not a Redis URL: write \(examples), and percent-encode reserved characters in a password (@ is %40)"
        case .unknownScheme: "the URL's scheme is not one of Redis: write \(examples)"
        case .missingHost: "the Redis URL names no host: write \(examples)"
        case .badPort: "the Redis URL's port is not between 1 and 65535"
        case .badDatabase: "the Redis URL's database is not a number, as in redis://host/2"
        case .missingPath: "the Redis URL names no socket: write three slashes, as in unix:///run/redis/redis.sock"
        case .badPath: "the path of the Redis socket is longer than the 107 bytes a unix socket can have"
        case .unknownOption: "the Redis URL has an option other than db, username and password"
        case .userWithoutPassword: "the Redis URL has a user but no password: write redis://user:password@host"
        case .tlsUnsupported:
            "rediss:// is not supported: this build speaks to Redis without TLS; use redis:// or a tunnel"
        }
    }
}
