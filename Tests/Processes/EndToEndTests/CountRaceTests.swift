import Connections
import Demo
import Harness
import Testing
import ThreadedIO

@Suite("Two clients set the same stock count at the same moment")
struct CountRaceTests {
    private static let rounds = 1000

    @Test("through Onewrite Postgres and Redis end equal in every one of 1 000 rounds; a naive dual write doesn't")
    func race() async throws {
        try await Shop.open { shop in
            try await shop.fleet.startAll()
            let submitters = Submitters(servers: shop.demo, pace: .zero)
            async let first = submitters.submit(CountRace.changes(ofClient: 0, rounds: Self.rounds), named: "race-0")
            async let second = submitters.submit(CountRace.changes(ofClient: 1, rounds: Self.rounds), named: "race-1")
            let submissions = try await first + second
            try await shop.drained()
            try await shop.expectAgreement(submissions)
            let contents = try await shop.demo.contents()
            let counts = contents.stockInPostgres.filter { $0.key.shop == CountRace.shop }
            #expect(counts.count == Self.rounds)
            #expect(counts.allSatisfy { contents.stockInRedis[$0.key] == $0.value })

            try await CommandLane("naive").run { _ in try DualWrite.create(on: shop.demo.postgres()) }
            let different = try await CountRace.runNaively(on: shop.demo, seed: 1, rounds: Self.rounds)
            print("two clients, \(Self.rounds) rounds: Onewrite 0 differ, the naive dual write \(different)")
            #expect(different > 0, "the naive clients never met, so the race proves nothing")
        }
    }
}
