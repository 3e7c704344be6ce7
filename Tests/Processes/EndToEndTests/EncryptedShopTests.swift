import Foundation
import Harness
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite(
    "Redis and Postgres with TLS, under real processes", .serialized, .timeLimit(.minutes(5)),
    .enabled("the server is built with TLS") { try await RedisProgram.knowsTLS() })
struct EncryptedShopTests {
    @Test("workers killed, Redis killed and restarted under load: every store is what the accepted orders give")
    func killed() async throws {
        try await Shop.open(isEncrypted: true) { shop in
            try #require(shop.servers.redis.url.hasPrefix("rediss://"))
            try await shop.fleet.startAll()
            var generator = SeededGenerator(seed: 17)
            let workload = Workload(orders: 6000, filesEach: 1, using: &generator)
            async let submitted = Submitters(servers: shop.demo, pace: .milliseconds(150)).run(workload)
            try await shop.outside.ordersFlow(from: 3, of: 6000)
            for name in WorkerFleet.names where name.letter == "a" {
                await shop.fleet.process(name)?.kill()
                try await shop.fleet.start(name)
            }
            await shop.servers.redis.kill()
            try await shop.servers.redis.restart()
            try await eventually(within: .seconds(30), "every partition is open again") {
                try await shop.outside.closedPartitions() == 0
            }
            let submissions = try await submitted
            try await shop.drained()
            try await shop.expectAgreement(submissions, answersMayBeLost: true)
        }
    }

    @Test("a certificate that runs out under a worker is told of, and a new one taken without a restart")
    func runsOut() async throws {
        try await Shop.open(isEncrypted: true) { shop in
            let tls = try #require(shop.servers.redis.tls)
            let expired = try await tls.authority.issue("old", valid: .past)
            func show(_ certificate: PrivateAuthority.Certificate) throws {
                for (from, to) in [
                    (certificate.file, tls.certificate.file), (certificate.keyFile, tls.certificate.keyFile),
                ] where from != to {
                    try Data(contentsOf: URL(filePath: from)).write(to: URL(filePath: to))
                }
            }
            let name = WorkerFleet.Name(group: "stock", letter: "a")
            try await shop.fleet.start(name)
            func log() -> String { (try? String(contentsOfFile: shop.demo.logPath("\(name)"), encoding: .utf8)) ?? "" }
            try await eventually("it serves") { log().contains("serving stock") }

            let next = try await tls.authority.issue("next")
            try show(expired)
            try await shop.servers.redis.restart()
            try await eventually(within: .seconds(30), "it is told") { log().contains("has expired") }
            #expect(shop.fleet.process(name)?.isRunning == true, "\(log())")
            let order = ["submit", "--id", "a", "--shop", "main", "--customer", "c", "--line", "TEA:1"]
            for arguments in [["init"], ["status"], ["worker", "--group", "stock", "--name", "b"], order] {
                let ran = Ran(
                    try await ChildProcess.run(
                        [BuiltExecutable.path] + arguments, environment: shop.demo.environment, within: .seconds(60)))
                #expect(ran.code == 78 && ran.errors.contains("has expired"), "\(arguments): \(ran.errors)")
                #expect(ran.errors.split(separator: "\n").count == 1, "\(ran.errors)")
            }
            try show(next)
            try await shop.servers.redis.restart()
            try await eventually(within: .seconds(30), "it goes on: \(log())") { log().contains("Redis is back") }
        }
    }
}
