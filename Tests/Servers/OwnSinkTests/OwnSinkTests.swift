import Foundation
import Logging
import Onewrite
import PostgresClient
import PrivateServers
import RedisClient
import RedisLog
import Testing
import TestSupport
import ThreadedIO

@Suite("A sink of one's own, on real servers", .timeLimit(.minutes(3)))
struct OwnSinkTests {
    @Test("from the start: it has what Postgres has, in the same order, and shows its position")
    func fromStart() async throws {
        try await withOwnShop { shop in
            try await shop.submit(200)
            let store = MemoryStore()
            try await shop.serving(store) {
                try await shop.isEqual(store, count: 200)
                try await shop.submit(200)
                try await shop.isEqual(store, count: 400)
                try await eventually("nothing is pending") { try shop.pending("search") == 0 }
            }
            try await shop.serving(store) { try await shop.isKnownByName() }
            let shown = try await shop.run("group", "list", "--json")
            #expect(shown.output.contains(#""group":"search""#), "\(shown.output)\(shown.errors)")
        }
    }

    @Test("a group that is added later has what the log holds no more from the ledger, without a gap or an overlap")
    func backfill() async throws {
        // Larger with `ONEWRITE_TEST_BACKFILL=200000`.
        let count = ProcessInfo.processInfo.environment["ONEWRITE_TEST_BACKFILL"].flatMap { Int($0) } ?? 2000
        try await withOwnShop { shop in
            try await shop.submit(count)
            try await shop.settled(count)
            try shop.deleteFirstHalf()
            #expect(try await shop.run("group", "add", "search", "--from", "start").status == .exited(0))
            let store = MemoryStore()
            try await shop.serving(store) {
                try await shop.isEqual(store, count: count)
                try await shop.submit(100)
                try await shop.isEqual(store, count: count + 100)
            }
        }
    }

    @Test("a store that was emptied has everything again, from the ledger and the log, and goes on")
    func emptied() async throws {
        try await withOwnShop { shop in
            try await shop.submit(400)
            let store = MemoryStore()
            try await shop.serving(store) {
                try await shop.isEqual(store, count: 400)
                try await eventually("nothing is pending") { try shop.pending("search") == 0 }
            }
            try shop.deleteFirstHalf()
            let emptied = MemoryStore()
            try await shop.serving(emptied) {
                try await shop.isEqual(emptied, count: 400)
                try await shop.submit(50)
                try await shop.isEqual(emptied, count: 450)
            }
        }
    }

    @Test("from now: it has what is appended from then on, and nothing else")
    func fromNow() async throws {
        try await withOwnShop { shop in
            try await shop.submit(50)
            try await shop.settled(50)
            #expect(try await shop.run("group", "add", "search", "--from", "now").status == .exited(0))
            let again = try await shop.run("group", "add", "search", "--from", "start")
            #expect(again.status == .exited(1) && again.errors.contains("began from now"), "\(again.errors)")
            try await shop.submit(70)
            let store = MemoryStore()
            try await shop.serving(store) {
                try await eventually("the later ones are there") { shop.orders(store).count >= 70 }
            }
            #expect(Set(shop.orders(store)) == Set((50..<120).map { "order-\($0)" }))
            #expect(shop.orders(store).count == 70)
        }
    }

    @Test("a store that fails before or behind its effect is asked again: nothing is lost, nothing twice")
    func failures() async throws {
        try await withOwnShop { shop in
            let store = MemoryStore()
            store.fail(before: 5, behind: 5)
            try await shop.serving(store) {
                try await shop.submit(200)
                try await shop.isEqual(store, count: 200)
            }
        }
    }

    @Test("audit compares its position: it can't be ahead of the ledger")
    func audited() async throws {
        try await withOwnShop { shop in
            #expect(try await shop.run("group", "add", "search").status == .exited(0))
            try await shop.submit(10)
            try await shop.settled(10)
            let agreed = try await shop.run("audit")
            #expect(agreed.status == .exited(0), "\(agreed.output)\(agreed.errors)")
            #expect(agreed.output.contains(/\npositions +\d+ +0\n/))
            try shop.showPosition(11, of: "search")
            let differs = try await shop.run("audit")
            #expect(differs.status == .exited(1))
            #expect(differs.output.contains("the position of search"), "\(differs.output)")
        }
    }

    @Test("added while the log is trimmed all the time, it is given all of it, and then holds back what it lacks")
    func addedToTrimmedLog() async throws {
        try await withOwnShop(trim: "1s") { shop in
            try await shop.submit(200)
            try await shop.settled(200)
            try await eventually(within: .seconds(60), "the log is trimmed") { try shop.trimmed() > 150 }
            let store = MemoryStore()
            try await shop.serving(store) {
                try await shop.submit(200)
                try await shop.isEqual(store, count: 400)
            }
            // Nobody serves it any more: what comes now stays.
            let before = try shop.trimmed()
            try await shop.submit(100)
            try await shop.settled(500)
            let plan = try await shop.run("trim", "--keep", "0s")
            #expect(plan.output.contains("held back by search, which is at seq"), "\(plan.output)\(plan.errors)")
            #expect(try shop.trimmed() <= max(before, 400))
            try await shop.serving(store) { try await shop.isEqual(store, count: 500) }
        }
    }

    @Test("dead take can't act for it, and says so")
    func notTaken() async throws {
        try await withOwnShop { shop in
            #expect(try await shop.run("group", "add", "search").status == .exited(0))
            let refused = try await shop.run(
                "dead", "take", "--group", "search", "--partition", "0", "--reason", "a test", "--yes")
            #expect(refused.status == .exited(64), "\(refused.errors)")
            #expect(refused.errors.contains("the sink of search is in an application"), "\(refused.errors)")
        }
    }

    @Test("it is never ahead of the ledger")
    func behindLedger() async throws {
        try await withOwnShop(workers: ["stock"]) { shop in
            let store = MemoryStore()
            try await shop.serving(store) {
                try await shop.submit(20)
                try await eventually("its trouble is told") {
                    try await shop.run("status", "--json").output.contains("waits for group postgres")
                        || shop.log.contains("waits for group postgres")
                }
                #expect(shop.orders(store).isEmpty)
                try await shop.starting("postgres") { try await shop.isEqual(store, count: 20) }
            }
        }
    }

    @Test("what nobody can apply is set aside once, under the group's name, and the rest goes on")
    func deadLetters() async throws {
        try await withOwnShop { shop in
            try await shop.submit(10)
            try await shop.settled(10)
            try shop.addByHand()
            let store = MemoryStore()
            store.fail(before: 2, behind: 0)
            try await shop.serving(store) {
                try await shop.submit(10)
                try await shop.isEqual(store, count: 20)
                try await eventually("it is set aside") { try shop.deadLetters("search") == 1 }
            }
            #expect(try shop.deadLetters("search") == 1)
        }
    }

    @Test("dead letters that come from the ledger are told apart by their seqs")
    func deadLettersOfLedger() async throws {
        try await withOwnShop { shop in
            try await shop.submit(100)
            try await shop.settled(100)
            try await shop.addInvalid(3)
            try await shop.submit(100)
            try await shop.settled(200)
            try shop.deleteAll()
            let store = MemoryStore()
            store.fail(before: 3, behind: 0)
            try await shop.serving(store) {
                try await shop.isEqual(store, count: 200)
                try await eventually("they are set aside") { try shop.deadLetters("search") >= 3 }
            }
            #expect(try shop.deadLetters("search") == 3)
        }
    }

    @Test("workers share the partitions, and one that stops leaves none behind")
    func takeover() async throws {
        try await withOwnShop { shop in
            let store = MemoryStore()
            try await shop.serving(store) {
                try await shop.serving(store) {
                    try await shop.submit(100)
                    try await shop.isEqual(store, count: 100)
                }
                try await shop.submit(100)
                try await shop.isEqual(store, count: 200)
            }
        }
    }

    @Test("a worker that can't serve says why")
    func refused() async throws {
        let configuration = try LogConfiguration(redis: "redis://127.0.0.1:1/0")
        #expect(throws: LogError.self) { try Worker(configuration, logger: Logger(label: "w")) }
        #expect(throws: LogError.self) { try Worker(configuration, sinks: [], logger: Logger(label: "w")) }
        #expect(throws: LogError.self) {
            try Worker(configuration, sinks: [.stock, .stock], logger: Logger(label: "w"))
        }
        #expect(throws: Never.self) { try Worker(configuration, sinks: [.stock], logger: Logger(label: "w")) }
    }
}
