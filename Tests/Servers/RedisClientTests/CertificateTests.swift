import Foundation
import PrivateServers
import RedisClient
import TestSupport
import Testing
import ThreadedIO

@Suite(
    "Certificates of Redis and of its clients", .timeLimit(.minutes(2)),
    .enabled("the server is built with TLS") { try await RedisProgram.knowsTLS() })
struct CertificateTests {
    /// Expects that there is no connection, and that it says so in these words, once and for all.
    private func expectRefused(
        _ words: String, _ connect: () throws -> RedisSession, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let error = #expect(throws: RedisError.self, sourceLocation: sourceLocation) { _ = try connect() }
        guard let error, case .tlsFailed(_, let reason) = error else {
            Issue.record("\(String(describing: error))", sourceLocation: sourceLocation)
            return
        }
        #expect(reason.contains(words), sourceLocation: sourceLocation)
        #expect(!error.isRetriable && !error.outcomeIsUnknown, sourceLocation: sourceLocation)
    }

    @Test("a right one is accepted, by address or by name, and the connection says how it is encrypted")
    func right() async throws {
        let site = try await TLSSite.shared.value
        let connection = try site.connect(site.right)
        #expect(try connection.call(RedisCommand("ECHO", "tea"), until: .soon).string == "tea")
        #expect(connection.encryption?.version == "TLSv1.3")
        #expect(connection.encryption?.cipher.hasPrefix("TLS_") == true)
        #expect(connection.isServerVerified && connection.isOnThisMachine)
        _ = try site.connect(site.right) { $0.serverName = "localhost" }
        _ = try site.connect(site.named) { $0.serverName = "redis.shop.example" }
        #expect(connection.encryption != nil)
        connection.close()
        #expect(connection.encryption == nil)
        let plain = try RedisSession(
            connectingTo: RedisConfiguration(.unix(path: site.right.socketPath)), until: .soon, interrupt: nil)
        #expect(plain.encryption == nil && !plain.isServerVerified && plain.isOnThisMachine)
    }

    @Test("one from an authority that nobody named, expired, not yet valid or for another name is refused")
    func wrong() async throws {
        let site = try await TLSSite.shared.value
        try expectRefused("from an authority that is not trusted here") {
            try site.connect(site.right) { $0.authoritiesFile = site.stranger.file }
        }
        try expectRefused("from an authority that is not trusted here") {
            try site.connect(site.right) { $0.authoritiesFile = nil }
        }
        try expectRefused("has expired") { try site.connect(site.expired) }
        try expectRefused("is not valid yet") { try site.connect(site.future) }
        try expectRefused("is not for 127.0.0.1") { try site.connect(site.named) }
        try expectRefused("is not for localhost") { try site.connect(site.named) { $0.serverName = "localhost" } }
        try expectRefused("is not for 127.0.0.2") { try site.connect(site.right) { $0.serverName = "127.0.0.2" } }
        try expectRefused("is not for shop.example") {
            try site.connect(site.named) { $0.serverName = "shop.example" }
        }
    }

    @Test("a revoked one is refused where the authority's list is given")
    func revoked() async throws {
        let site = try await TLSSite.shared.value
        try expectRefused("its certificate was revoked") {
            try site.connect(site.revoked) { $0.revokedFile = site.authority.revokedFile }
        }
        _ = try site.connect(site.right) { $0.revokedFile = site.authority.revokedFile }
        try expectRefused("not of the authority") {
            try site.connect(site.right) { $0.revokedFile = site.stranger.revokedFile }
        }
    }

    @Test("none is looked at when that is switched off, and nothing is proved then")
    func unverified() async throws {
        let site = try await TLSSite.shared.value
        for server in [site.right, site.named, site.expired] {
            let connection = try site.connect(server) {
                $0 = RedisTLS()
                $0.isVerified = false
            }
            #expect(connection.encryption != nil && !connection.isServerVerified)
        }
    }

    @Test("of ours: one that the server wants and doesn't get, or doesn't like, is told of; the right one is let in")
    func ofClients() async throws {
        let site = try await TLSSite.shared.value
        for server in [site.guarded, site.guardedOld] {
            func with(_ certificate: PrivateAuthority.Certificate) -> (inout RedisTLS) -> Void {
                { tls in (tls.certificateFile, tls.keyFile) = (certificate.file, certificate.keyFile) }
            }
            try expectRefused("it wants a certificate of ours") { try site.connect(server) }
            try expectRefused("it doesn't trust the authority that our certificate") {
                try site.connect(server, with(site.strangeClient))
            }
            try expectRefused("our certificate (tls_certificate) has expired") {
                try site.connect(server, with(site.expiredClient))
            }
            let connection = try site.connect(server, with(site.client))
            #expect(try connection.call(RedisCommand("PING"), until: .soon).string == "PONG")
            #expect(connection.encryption?.version == (server === site.guarded ? "TLSv1.3" : "TLSv1.2"))
        }
        // One who asks for none may get one.
        _ = try site.connect(site.right) { tls in
            (tls.certificateFile, tls.keyFile) = (site.client.file, site.client.keyFile)
        }
    }

    @Test("files that aren't there, hold something else or want a passphrase are told of by the option's name")
    func files() async throws {
        let site = try await TLSSite.shared.value
        let garbage = "\(site.directory.path)/garbage"
        try Data("no certificate".utf8).write(to: URL(filePath: garbage))
        let locked = "\(site.directory.path)/locked.key"
        _ = try Ran(
            await ChildProcess.run([
                "openssl", "ec", "-aes128", "-passout", "pass:x", "-in", site.client.keyFile, "-out", locked,
            ])
        ).succeeded()
        let (client, other) = (site.client, site.strangeClient)
        let cases: [(String, (inout RedisTLS) -> Void)] = [
            ("tls_ca, /nowhere: No such file", { $0.authoritiesFile = "/nowhere" }),
            ("tls_ca, \(garbage): it holds no certificate", { $0.authoritiesFile = garbage }),
            ("tls_crl, \(garbage): it holds no list", { $0.revokedFile = garbage }),
            ("tls_certificate, \(garbage): it holds", { ($0.certificateFile, $0.keyFile) = (garbage, client.keyFile) }),
            ("tls_key, /nowhere: No such", { ($0.certificateFile, $0.keyFile) = (client.file, "/nowhere") }),
            ("it isn't the key of", { ($0.certificateFile, $0.keyFile) = (client.file, other.keyFile) }),
            ("wants a passphrase", { ($0.certificateFile, $0.keyFile) = (client.file, locked) }),
        ]
        for (words, adjust) in cases {
            try expectRefused(words) { try site.connect(site.guarded, adjust) }
        }
    }

    @Test("are read anew for each connection")
    func rotation() async throws {
        let site = try await TLSSite.shared.value
        let file = "\(site.directory.path)/rotating.pem"
        func put(_ authority: PrivateAuthority) throws {
            try Data(contentsOf: URL(filePath: authority.file)).write(to: URL(filePath: file))
        }
        try put(site.authority)
        let first = try site.connect(site.right) { $0.authoritiesFile = file }
        try put(site.stranger)
        try expectRefused("not trusted here") { try site.connect(site.right) { $0.authoritiesFile = file } }
        #expect(try first.call(RedisCommand("PING"), until: .soon).string == "PONG")
        try put(site.authority)
        _ = try site.connect(site.right) { $0.authoritiesFile = file }
    }

    @Test("of Sentinels are looked at like the master's, and the way to both is encrypted")
    func sentinels() async throws {
        let site = try await TLSSite.shared.value
        let tls = try #require(site.right.tls)
        let sentinel = try await PrivateSentinel.start(watching: site.right, in: site.directory, tls: tls)
        func connect(_ authority: PrivateAuthority) throws -> RedisSession {
            let url = "rediss+sentinel://127.0.0.1:\(sentinel.port)/mymaster?tls_ca=\(authority.file)"
            return try RedisSession(
                connectingTo: RedisConfiguration(url: url), until: .soon, interrupt: nil)
        }
        let connection = try connect(site.authority)
        #expect(connection.address == "127.0.0.1:\(site.right.port ?? 0)/0" && connection.encryption != nil)
        #expect(try connection.isAuthoritative(until: .soon))
        try expectRefused("not trusted here") { try connect(site.stranger) }
        await sentinel.kill()
    }
}
