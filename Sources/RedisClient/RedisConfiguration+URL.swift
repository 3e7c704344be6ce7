import FoundationEssentials

extension RedisConfiguration {
    /// Parses a URL.
    ///
    /// - `redis://[[user]:password@]host[:port][/database]`
    /// - `unix:///path[?db=N][&username=…][&password=…]`, also as `redis+unix://` and `redis-socket://`
    /// - `redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/master[/database]`, with the options
    ///   `sentinel_username` and `sentinel_password` for the Sentinels themselves
    /// - `redis+cluster://[[user]:password@]host[:port][,host[:port]…]`: some of the nodes, which know the others
    ///
    /// With `rediss://`, `rediss+sentinel://` and `rediss+cluster://` the connections are encrypted (``RedisTLS``); options
    /// are `tls_ca`, `tls_certificate` and `tls_key`, `tls_crl`, `tls_server_name`, and `tls_verify=off`.
    ///
    /// Reserved characters are percent-encoded, an IPv6 host stands in brackets.
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
        let isEncrypted = scheme.lowercased().hasPrefix("rediss")
        switch isEncrypted ? "redis" + scheme.lowercased().dropFirst("rediss".count) : scheme.lowercased() {
        case "redis": try self.init(.tcp(of: parts), database: Self.database(inPath: parts.path))
        case "unix", "redis+unix", "redis-socket": try self.init(.unix(of: parts))
        case "redis+sentinel":
            let path = parts.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            guard let master = path.first, !master.isEmpty else { throw .missingMaster }
            guard path.count <= 2 else { throw .badDatabase }
            let sentinels = try Self.hosts(parts, otherHosts, defaultPort: Self.sentinelPort)
            self.init(
                .master(named: String(master), sentinels: sentinels),
                database: try path.dropFirst().first.map { text throws(RedisURLError) in try Self.database(String(text))
                }
                    ?? 0)
        case "redis+cluster":
            guard try Self.database(inPath: parts.path) == 0 else { throw .databaseOfCluster }
            self.init(.cluster(nodes: try Self.hosts(parts, otherHosts, defaultPort: Self.port)))
        default: throw .unknownScheme
        }
        if isEncrypted {
            guard socketPath == nil else { throw .unknownScheme }
            tls = RedisTLS()
        }
        username = parts.user.flatMap { $0.isEmpty ? nil : $0 }
        password = parts.password
        self.passwordFile = passwordFile
        try take(options: parts.queryItems ?? [])
        try tls?.check()
        guard username == nil || password != nil || passwordFile != nil,
            sentinelUsername == nil || sentinelPassword != nil
        else {
            throw .userWithoutPassword
        }
    }

    private static let port = 6379
    private static let sentinelPort = 26379

    private static func hosts(
        _ first: URLComponents, _ others: [Substring], defaultPort: Int
    ) throws(RedisURLError) -> [Endpoint] {
        var hosts = [try Endpoint.tcp(of: first, defaultPort: defaultPort)]
        for host in others {
            guard let parts = URLComponents(string: "redis://\(host)", encodingInvalidCharacters: false),
                parts.path.isEmpty, parts.user == nil, parts.query == nil
            else { throw .malformed }
            hosts.append(try .tcp(of: parts, defaultPort: defaultPort))
        }
        return hosts
    }

    /// Splits the URL of several hosts into one with the first host only, and the other hosts; other URLs stay whole.
    private static func splitHosts(_ url: String) -> (url: String, others: [Substring]) {
        guard let scheme = url.firstRange(of: "://"),
            ["redis+sentinel", "redis+cluster", "rediss+sentinel", "rediss+cluster"].contains(
                url[..<scheme.lowerBound].lowercased())
        else { return (url, []) }
        let authority = url[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let start = authority.lastIndex(of: "@").map(authority.index(after:)) ?? authority.startIndex
        let hosts = authority[start...].split(separator: ",", omittingEmptySubsequences: false)
        guard hosts.count > 1 else { return (url, []) }
        return (String(url[..<start] + hosts[0] + url[authority.endIndex...]), Array(hosts.dropFirst()))
    }

    private mutating func take(options: [URLQueryItem]) throws(RedisURLError) {
        for option in options {
            switch option.name {
            case "db", "database":
                database = try Self.database(option.value ?? "")
                guard database == 0 || !isCluster else { throw .databaseOfCluster }
            case "user", "username": username = option.value
            case "password": password = option.value
            case "sentinel_username" where isBySentinel: sentinelUsername = option.value
            case "sentinel_password" where isBySentinel: sentinelPassword = option.value
            case let name where name.hasPrefix(RedisTLS.optionPrefix):
                guard tls != nil else { throw .tlsOptionWithoutTLS }
                try tls?.take(name, option.value)
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
    case unknownOption, userWithoutPassword, databaseOfCluster
    case badTLSOption, tlsOptionWithoutTLS, certificateWithoutKey, unverifiedAuthority
}

extension RedisURLError: CustomStringConvertible {
    package var description: String {
        let examples =
            "redis://[[user]:password@]host[:port][/database], unix:///path[?db=N], redis+sentinel://host[:port],…/master "
            + "or redis+cluster://host[:port],… (with TLS rediss:// and the like)"
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
            "the Redis URL has an option other than db, username and password (sentinel_username and sentinel_password; with TLS "
                + "tls_ca, tls_certificate, tls_key, tls_crl, tls_server_name and tls_verify)"
        case .databaseOfCluster: "a Redis Cluster has database 0 only: leave the database out of the URL"
        case .userWithoutPassword: "the Redis URL has a user but no password: write redis://user:password@host"
        case .badTLSOption: "an option of the Redis URL for TLS has no value, or tls_verify is neither on nor off"
        case .tlsOptionWithoutTLS: "the Redis URL has options for TLS and no TLS: write rediss:// instead of redis://"
        case .certificateWithoutKey: "the Redis URL has one of tls_certificate and tls_key: name both, or none"
        case .unverifiedAuthority:
            "the Redis URL has tls_verify=off, and names a tls_ca or tls_crl that would not be used: name one or the other"
        }
    }
}
