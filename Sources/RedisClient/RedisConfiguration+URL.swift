import FoundationEssentials

extension RedisConfiguration {
    /// Parses a URL.
    ///
    /// - `redis://[[user]:password@]host[:port][/database]`
    /// - `unix:///path[?db=N][&username=…][&password=…]`, also as `redis+unix://` and `redis-socket://`
    /// - `redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/master[/database]`, with the options
    ///   `sentinel_username` and `sentinel_password` for the Sentinels themselves
    ///
    /// Reserved characters are percent-encoded, an IPv6 host stands in brackets. `rediss://` and `rediss+sentinel://` are
    /// refused: this client doesn't speak TLS.
    ///
    /// - Parameters:
    ///   - url: The URL.
    ///   - passwordFile: Where the user's password is, when the URL doesn't have it; it wins over the URL's.
    /// - Throws: What is wrong with it; no error repeats any part of it.
    ///
    /// IANA: <https://www.iana.org/assignments/uri-schemes/prov/redis>
    package init(url: String, passwordFile: String? = nil) throws(RedisURLError) {
        // A list of hosts is no URL: the first stands for them until the rest has been read.
        let (url, otherHosts) = Self.splitHosts(url)
        guard let parts = URLComponents(string: url, encodingInvalidCharacters: false), let scheme = parts.scheme else {
            throw .malformed
        }
        guard parts.fragment == nil else { throw .malformed }
        switch scheme.lowercased() {
        case "redis": try self.init(.tcp(of: parts), database: Self.database(inPath: parts.path))
        case "unix", "redis+unix", "redis-socket": try self.init(.unix(of: parts))
        case "redis+sentinel":
            let path = parts.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            guard let master = path.first, !master.isEmpty else { throw .missingMaster }
            guard path.count <= 2 else { throw .badDatabase }
            var sentinels = [try Endpoint.tcp(of: parts, defaultPort: Self.sentinelPort)]
            for host in otherHosts {
                guard let parts = URLComponents(string: "redis://\(host)", encodingInvalidCharacters: false),
                    parts.path.isEmpty, parts.user == nil, parts.query == nil
                else { throw .malformed }
                sentinels.append(try .tcp(of: parts, defaultPort: Self.sentinelPort))
            }
            self.init(
                .master(named: String(master), sentinels: sentinels),
                database: try path.dropFirst().first.map { text throws(RedisURLError) in try Self.database(String(text))
                }
                    ?? 0)
        case "rediss", "rediss+sentinel": throw .tlsUnsupported
        default: throw .unknownScheme
        }
        username = parts.user.flatMap { $0.isEmpty ? nil : $0 }
        password = parts.password
        self.passwordFile = passwordFile
        try take(options: parts.queryItems ?? [])
        guard username == nil || password != nil || passwordFile != nil,
            sentinelUsername == nil || sentinelPassword != nil
        else {
            throw .userWithoutPassword
        }
    }

    private static let sentinelPort = 26379

    /// Splits a Sentinel URL into one with the first host only, and the other hosts; other URLs stay whole.
    private static func splitHosts(_ url: String) -> (url: String, others: [Substring]) {
        guard let scheme = url.firstRange(of: "://"), url[..<scheme.lowerBound].lowercased() == "redis+sentinel" else {
            return (url, [])
        }
        let authority = url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let start = authority.lastIndex(of: "@").map(authority.index(after:)) ?? authority.startIndex
        let hosts = authority[start...].split(separator: ",", omittingEmptySubsequences: false)
        guard hosts.count > 1 else { return (url, []) }
        return (String(url[..<start] + hosts[0] + url[authority.endIndex...]), Array(hosts.dropFirst()))
    }

    private mutating func take(options: [URLQueryItem]) throws(RedisURLError) {
        for option in options {
            switch option.name {
            case "db", "database": database = try Self.database(option.value ?? "")
            case "user", "username": username = option.value
            case "password": password = option.value
            case "sentinel_username" where isBySentinel: sentinelUsername = option.value
            case "sentinel_password" where isBySentinel: sentinelPassword = option.value
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
    fileprivate static func tcp(of parts: URLComponents, defaultPort: Int = 6379) throws(RedisURLError) -> Self {
        let host = parts.host ?? ""
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        guard !bare.isEmpty else { throw .missingHost }
        let port = parts.port ?? defaultPort
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
    case malformed, unknownScheme, missingHost, badPort, badDatabase, missingPath, badPath, missingMaster
    case unknownOption, userWithoutPassword, tlsUnsupported
}

extension RedisURLError: CustomStringConvertible {
    package var description: String {
        let examples =
            "redis://[[user]:password@]host[:port][/database], unix:///path[?db=N] or redis+sentinel://host[:port],…/master"
        return switch self {
        case .malformed:
            "not a Redis URL: write \(examples), and percent-encode reserved characters in a password (@ is %40)"
        case .unknownScheme: "the URL's scheme is not one of Redis: write \(examples)"
        case .missingHost: "the Redis URL names no host: write \(examples)"
        case .badPort: "the Redis URL's port is not between 1 and 65535"
        case .badDatabase: "the Redis URL's database is not a number, as in redis://host/2"
        case .missingPath: "the Redis URL names no socket: write three slashes, as in unix:///run/redis/redis.sock"
        case .badPath: "the path of the Redis socket is longer than the 107 bytes a unix socket can have"
        case .missingMaster:
            "the Redis URL names no master: write redis+sentinel://host:26379,host2:26379/mymaster[/database]"
        case .unknownOption:
            "the Redis URL has an option other than db, username and password (and sentinel_username, sentinel_password)"
        case .userWithoutPassword: "the Redis URL has a user but no password: write redis://user:password@host"
        case .tlsUnsupported:
            "rediss:// is not supported: this build speaks to Redis without TLS; use redis:// or a tunnel"
        }
    }
}
