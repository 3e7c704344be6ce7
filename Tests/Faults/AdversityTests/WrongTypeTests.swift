import Harness
import PrivateServers
import TestSupport
import Testing

@Suite("Keys and counters that hold something else than they should")
struct WrongTypeTests {
    /// Keys of the partition, and one of the whole log.
    private static let keys = [
        "log", "head", "seen", "stock:main", "deliveries", "position:stock", "position:delivery", "dead:stock",
        "dead:delivery", "lease:postgres", "lease:stock", "lease:delivery",
    ]

    @Test(
        "a key of another type is named, changes nothing by half, and everything goes on when it is mended",
        arguments: keys)
    func key(_ name: String) async throws {
        try await Trial.open { trial in
            try await trial.allWorkers()
            try await trial.submit(3)
            try await trial.drained()
            let key = "\(trial.tag):\(name)"
            try await trial.spoil(key)
            if name.hasPrefix("dead:") {
                // It is written only when there is something to set aside, and looked at before every batch.
                try await trial.redis("XADD", "\(trial.tag):log", "*", "colour", "red")
            }
            let attempt = try await trial.attempt("meanwhile", timeout: "200ms")
            try await eventually("it shows: the order is refused, or somebody doesn't serve, or status names the key") {
                if attempt.status != .exited(0) { return true }
                for group in Trial.groups {
                    let status = try await trial.status(group)
                    if status.state != "serving" || status.warnings.contains(where: { $0.contains("WRONGTYPE") }) {
                        return true
                    }
                }
                return false
            }
            if attempt.status == .exited(0) {
                try await trial.accepted("meanwhile", attempt.output)
            } else {
                #expect(attempt.errors.contains("WRONGTYPE"), "\(attempt.errors)")
            }
            try await trial.mend(key)
            if name.hasPrefix("dead:") {
                for group in Trial.groups {
                    try await eventually("\(group) sets the entry aside") { try await trial.dead(group) == 1 }
                }
                try await trial.drained()
                try await trial.deleteEntries { $0["colour"] != nil }
                try await trial.sql("DELETE FROM dead_letters")
                for group in ["stock", "delivery"] { try await trial.redis("DEL", "\(trial.tag):dead:\(group)") }
            }
            try await trial.submit(3)
            try await trial.expectAgreement()
        }
    }

    @Test(
        "the list of workers of another type: nobody is assigned anything, nothing breaks, and it goes on when it is mended"
    )
    func members() async throws {
        try await Trial.open { trial in
            try await trial.allWorkers()
            try await trial.submit(3)
            try await trial.drained()
            let key = "\(trial.demo.namespace):workers:stock"
            try await trial.redis("RENAME", key, "\(key):aside")
            try await trial.redis("SET", key, "x")
            try await trial.submit(3)
            try await trial.drained(["postgres", "delivery"])
            try await eventually("status tells that nobody serves stock") {
                try await trial.status("stock").state != "serving"
            }
            try await trial.redis("DEL", key)
            try await trial.submit(3)
            try await trial.expectAgreement()
        }
    }

    @Test(
        "a counter in Redis that can't be counted on stalls its sink alone, before the first write",
        arguments: ["9223372036854775807", "-9007199254740993", "1e3", "007", ""])
    func counter(_ value: String) async throws {
        try await Trial.open { trial in
            try await trial.allWorkers()
            try await trial.submit(3)
            try await trial.drained()
            let key = "\(trial.tag):stock:main"
            try await trial.redis("HSET", key, "MUG", value)
            try await trial.submit(3)
            try await trial.drained(["postgres", "delivery"])
            try await eventually("status names the counter") {
                let status = try await trial.status("stock")
                return status.state == "stalled" && status.error?.contains("\(key) MUG: not a whole number") == true
            }
            #expect(try await trial.redis("HGET", key, "TEA") == "-3", "nothing of the batch is applied")
            try await trial.redis("HSET", key, "MUG", "-6")
            try await trial.expectAgreement()
        }
    }

    @Test("a counter in Postgres at the end of its range stalls its sink alone, and nothing of the batch is applied")
    func overflow() async throws {
        try await Trial.open { trial in
            try await trial.allWorkers()
            try await trial.submit(3)
            try await trial.drained()
            try await trial.sql("UPDATE stock SET on_hand = -9223372036854775808 WHERE sku = 'MUG'")
            try await trial.submit(3)
            try await trial.drained(["stock", "delivery"])
            try await eventually("status names the error") {
                let status = try await trial.status("postgres")
                return status.state == "stalled" && status.error?.contains("22003") == true
            }
            #expect(try await trial.sql("SELECT on_hand::text FROM stock WHERE sku = 'TEA'") == ["-3"])
            #expect(try await trial.position("postgres") == 3)
            try await trial.sql("UPDATE stock SET on_hand = -6 WHERE sku = 'MUG'")
            try await trial.expectAgreement()
        }
    }
}
