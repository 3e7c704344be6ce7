import Foundation
import Glibc
import PrivateServers
import RedisClient
import ThreadedIO

/// Runs what blocks on a thread of its own: the proxy needs the pool's.
func blocking(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
        Thread { done.resume(with: Result { try body() }) }.start()
    }
}

/// Authorities, their certificates, and servers that show them, for all tests of this process.
final class TLSSite: Sendable {
    static let shared = Task { try await TLSSite() }

    let directory: PrivateDirectory
    let authority, stranger: PrivateAuthority
    /// For localhost and 127.0.0.1.
    let right: PrivateRedis
    /// For `redis.shop.example` alone.
    let named: PrivateRedis
    let expired, future, revoked: PrivateRedis
    /// It wants a certificate of its clients.
    let guarded: PrivateRedis
    /// The same, with TLS 1.2 at most.
    let guardedOld: PrivateRedis
    /// For the guarded ones.
    let client, expiredClient, strangeClient: PrivateAuthority.Certificate

    private init() async throws {
        ignoreBrokenPipes()
        directory = try await PrivateDirectory()
        authority = try await PrivateAuthority(in: directory)
        stranger = try await PrivateAuthority(in: directory, name: "stranger")
        client = try await authority.issue("client", holding: [])
        expiredClient = try await authority.issue("expired-client", holding: [], valid: .past)
        strangeClient = try await stranger.issue("strange-client", holding: [])
        let rightCertificate = try await authority.issue("right")
        let revokedCertificate = try await authority.issue("revoked-one")
        try await authority.revoke(revokedCertificate)
        try await stranger.revoke(strangeClient)
        let (directory, authority) = (directory, authority)
        func start(
            _ name: String, _ certificate: PrivateAuthority.Certificate, wantsCertificates: Bool = false,
            options: [String] = []
        ) async throws -> PrivateRedis {
            try await PrivateRedis.start(
                in: directory, name: "r-\(name)", options: ["appendonly no"] + options,
                tls: PrivateTLS(certificate, of: authority, wantsCertificates: wantsCertificates))
        }
        right = try await start("right", rightCertificate)
        named = try await start("named", try await authority.issue("named", holding: ["DNS:redis.shop.example"]))
        expired = try await start("expired", try await authority.issue("expired", valid: .past))
        future = try await start("future", try await authority.issue("future", valid: .future))
        revoked = try await start("revoked", revokedCertificate)
        guarded = try await start("guarded", rightCertificate, wantsCertificates: true)
        guardedOld = try await start(
            "old", rightCertificate, wantsCertificates: true, options: ["tls-protocols TLSv1.2"])
    }

    /// Where a server is, with the authority named and what a test adds.
    func configuration(
        _ server: PrivateRedis, _ adjust: (inout RedisTLS) -> Void = { _ in }
    ) throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(url: server.url)
        if var tls = configuration.tls {
            adjust(&tls)
            configuration.tls = tls
        }
        return configuration
    }

    /// A connection; what is wrong is thrown.
    func connect(
        _ server: PrivateRedis, _ adjust: (inout RedisTLS) -> Void = { _ in }
    ) throws -> RedisSession {
        try RedisSession(connectingTo: configuration(server, adjust), until: .soon, interrupt: nil)
    }
}
