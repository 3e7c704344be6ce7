import RedisClient
import Testing

@Suite("A Redis URL")
struct ConfigurationTests {
    @Test(
        "names the server, the user and the database",
        arguments: [
            ("redis://localhost", RedisConfiguration(.tcp(host: "localhost", port: 6379))),
            ("redis://localhost/", RedisConfiguration(.tcp(host: "localhost", port: 6379))),
            ("REDIS://10.0.0.1:7000/12", RedisConfiguration(.tcp(host: "10.0.0.1", port: 7000), database: 12)),
            ("redis://[::1]:6380/1", RedisConfiguration(.tcp(host: "::1", port: 6380), database: 1)),
            ("redis://host?db=4", RedisConfiguration(.tcp(host: "host", port: 6379), database: 4)),
            ("redis://:pw@host", RedisConfiguration(.tcp(host: "host", port: 6379), password: "pw")),
            (
                "redis://shop:a%40b%3A%2F%25%C3%A9@host:1/2",
                RedisConfiguration(.tcp(host: "host", port: 1), username: "shop", password: "a@b:/%é", database: 2)
            ),
            ("unix:///run/redis.sock", RedisConfiguration(.unix(path: "/run/redis.sock"))),
            ("redis+unix:///a%20b?db=3", RedisConfiguration(.unix(path: "/a b"), database: 3)),
            (
                "redis-socket:///s?database=1&username=shop&password=p%26w",
                RedisConfiguration(.unix(path: "/s"), username: "shop", password: "p&w", database: 1)
            ),
            ("unix://:p%40w@/s", RedisConfiguration(.unix(path: "/s"), password: "p@w")),
            (
                "redis+sentinel://host/mymaster",
                RedisConfiguration(.master(named: "mymaster", sentinels: [.tcp(host: "host", port: 26379)]))
            ),
            (
                "redis+sentinel://shop:a%40b%2C@s-1:1,[::1],10.0.0.3:3/m-1/2",
                RedisConfiguration(
                    .master(
                        named: "m-1",
                        sentinels: [
                            .tcp(host: "s-1", port: 1), .tcp(host: "::1", port: 26379), .tcp(host: "10.0.0.3", port: 3),
                        ]), username: "shop", password: "a@b,", database: 2)
            ),
            (
                "redis+sentinel://h,i/m?db=4",
                RedisConfiguration(
                    .master(named: "m", sentinels: [.tcp(host: "h", port: 26379), .tcp(host: "i", port: 26379)]),
                    database: 4)
            ),
        ])
    func parses(_ url: String, _ expected: RedisConfiguration) throws {
        let parsed = try RedisConfiguration(url: url)
        #expect(parsed == expected)
        #expect(parsed.password == expected.password && parsed.username == expected.username)
    }

    @Test(
        "that can't be meant is refused, and no part of it repeated",
        arguments: [
            ("s3cret", .malformed), ("", .malformed), ("redis://:s3cret pw@host", .malformed),
            ("redis://:s3cret%zz@host", .malformed), ("redis://host/1#s3cret", .malformed),
            ("http://s3cret", .unknownScheme), ("localhost:6379", .unknownScheme), ("redis:///1", .missingHost),
            ("redis://:s3cret@", .missingHost), ("redis://host:0", .badPort), ("redis://host:65536", .badPort),
            ("redis://host/s3cret", .badDatabase), ("redis://host/-1", .badDatabase),
            ("redis://host/1/2", .badDatabase),
            ("unix:///s?db=", .badDatabase), ("unix:///s?s3cret=1", .unknownOption), ("unix://run/redis", .missingPath),
            ("unix:///", .missingPath), ("unix:///" + String(repeating: "s", count: 107), .badPath),
            ("redis://s3cret@host", .userWithoutPassword), ("redis://host?tls_ca=s3cret", .tlsOptionWithoutTLS),
            ("redis+cluster://h,i/1", .databaseOfCluster), ("redis+cluster://h?db=1", .databaseOfCluster),
            ("redis+cluster://h,/", .missingHost), ("redis+cluster://h,i:0", .badPort),
            ("redis+sentinel://h,i", .missingMaster), ("redis+sentinel://h,i/", .missingMaster),
            ("redis+sentinel://h,/m", .missingHost), ("redis+sentinel://,h/m", .missingHost),
            ("redis+sentinel://h:0,i/m", .badPort), ("redis+sentinel://h,i:0/m", .badPort),
            ("redis+sentinel://h,i/m/s3cret", .badDatabase), ("redis+sentinel://h/m/1/2", .badDatabase),
            ("redis+sentinel://:s3cret@h,:s3cret@i/m", .malformed),
            ("redis+sentinel://h/m?sentinel_username=s3cret", .userWithoutPassword),
            ("redis://h?sentinel_password=s3cret", .unknownOption), ("rediss+unix:///s", .unknownScheme),
            ("rediss://h?tls_ca=", .badTLSOption), ("rediss://h?tls_ca", .badTLSOption),
            ("rediss://h?tls_ca=s3%00cret", .badTLSOption), ("rediss://h?tls_verify=s3cret", .badTLSOption),
            ("rediss://h?tls_s3cret=1", .unknownOption), ("rediss://h?tls_key=s3cret", .certificateWithoutKey),
            ("rediss://h?tls_certificate=s3cret", .certificateWithoutKey),
            ("rediss://h?tls_verify=off&tls_ca=s3cret", .unverifiedAuthority),
            ("rediss+sentinel://h,i", .missingMaster),
        ] as [(String, RedisURLError)])
    func refuses(_ url: String, _ expected: RedisURLError) throws {
        let error = try #require(throws: RedisURLError.self) { try RedisConfiguration(url: url) }
        #expect(error == expected)
        #expect(!"\(error)".contains("s3cret"))
    }

    @Test("is shown as an address without the password, however it is printed")
    func hidesPassword() throws {
        let configuration = try RedisConfiguration(url: "redis://shop:s3cret@[::1]/3")
        #expect(configuration.address == "[::1]:6379/3")
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped, "\([configuration])"] {
            #expect(text.contains("[::1]:6379/3"))
            #expect(!text.contains("s3cret"))
        }
        let sentinel = try RedisConfiguration(url: "redis+sentinel://:s3cret@h/m/2?sentinel_password=other-s3cret")
        #expect(sentinel.sentinelPassword == "other-s3cret")
        #expect("\(sentinel)" == "m/2 (by Sentinel)")
        #expect(try RedisConfiguration(url: "unix:///run/s?db=2").address == "unix:/run/s/2")
        #expect(try RedisConfiguration(url: "redis://h:1").address == "h:1/0")
    }

    @Test("with rediss:// is one with TLS, whatever is behind it")
    func encrypted() throws {
        #expect(try RedisConfiguration(url: "redis://h").tls == nil)
        #expect(try RedisConfiguration(url: "REDISS://h:1/2").tls == RedisTLS())
        var tls = RedisTLS()
        tls.authoritiesFile = "/etc/ca &.pem"
        (tls.certificateFile, tls.keyFile) = ("/c", "/k")
        (tls.revokedFile, tls.serverName) = ("/r", "redis.shop")
        let options = "tls_ca=/etc/ca%20%26.pem&tls_certificate=/c&tls_key=%2Fk&tls_crl=/r&tls_server_name=redis.shop"
        var expected = RedisConfiguration(.tcp(host: "h", port: 6379), username: "u", password: "p", database: 3)
        expected.tls = tls
        #expect(try RedisConfiguration(url: "rediss://u:p@h/3?\(options)") == expected)
        expected.endpoint = .master(named: "m", sentinels: [.tcp(host: "h", port: 1), .tcp(host: "i", port: 26379)])
        #expect(try RedisConfiguration(url: "rediss+sentinel://u:p@h:1,i/m/3?\(options)") == expected)
        #expect(try RedisConfiguration(url: "rediss://h?tls_verify=off").tls?.isVerified == false)
        #expect(try RedisConfiguration(url: "rediss://h?tls_verify=on").tls?.isVerified == true)
    }
}
