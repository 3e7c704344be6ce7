import Foundation
import PrivateServers
import RedisClient
import Synchronization
import Testing
import TestSupport

/// What a receiver makes of what is posted: each change once, by partition and seq, newer tokens only.
final class Receiving: Sendable {
    struct State {
        /// `partition:seq type id`, as first taken.
        var taken: [Int: [String]] = [:]
        var requests: [HTTPReceiver.Request] = []
        var repeated = 0
        var outOfOrder: [String] = []
        var stale = 0
        var fence: [Int: (Int, Int)] = [:]
    }

    let state = Mutex(State())

    /// Takes a request, as the docs say that a receiver does.
    func take(_ request: HTTPReceiver.Request) -> HTTPReceiver.Answer {
        guard let object = try? JSONSerialization.jsonObject(with: Data(request.body.utf8)) as? [String: Any],
            let partition = request.headers["onewrite-partition"].flatMap({ Int($0) }),
            let epoch = request.headers["onewrite-epoch"].flatMap({ Int($0) }),
            let token = request.headers["onewrite-token"].flatMap({ Int($0) })
        else { return HTTPReceiver.Answer(400) }
        let changes = object["data"] as? [[String: Any]] ?? [object["data"] as? [String: Any] ?? [:]]
        return state.withLock { state in
            state.requests.append(request)
            if let known = state.fence[partition], (epoch, token) < known {
                state.stale += 1
                return HTTPReceiver.Answer(409)
            }
            state.fence[partition] = (epoch, token)
            for change in changes {
                let seq = change.int("seq") ?? 0
                let last = state.taken[partition]?.count ?? 0
                if seq <= last {
                    state.repeated += 1
                } else if seq == last + 1 {
                    state.taken[partition, default: []].append(
                        "\(seq) \(change.text("type") ?? "") \(change.text("id") ?? "")")
                } else {
                    state.outOfOrder.append("\(partition):\(seq) behind \(last)")
                }
            }
            return HTTPReceiver.Answer(200)
        }
    }

    func isEqual(_ shop: KindShop) throws {
        let (taken, outOfOrder) = state.withLock { ($0.taken, $0.outOfOrder) }
        #expect(outOfOrder == [])
        #expect(taken == (try shop.ledger()))
    }
}

@Suite("A webhook")
struct WebhookTests {
    private static let add = ["--kind", "webhook", "--allow-private", "--unsigned", "--url"]

    @Test(
        "every change is posted in order, one by one or by batches, and the receiver ends equal to Postgres",
        arguments: [1, 50])
    func follows(batch: Int) async throws {
        try await withKindShop { shop in
            let receiving = Receiving()
            let receiver = HTTPReceiver(receiving.take)
            let worker = try await shop.worker()
            try await shop.submit(200)
            _ = try await shop.run(["group", "add", "hook"] + Self.add + [receiver.url, "--batch", "\(batch)"])
                .succeeded()
            try await shop.submit(100)
            try await shop.settled("hook")
            try receiving.isEqual(shop)
            let requests = receiving.state.withLock { $0.requests }
            #expect(batch == 1 ? requests.count == 300 : requests.count < 100)
            let log = try #require(try shop.redis("HGET", "\(shop.servers.namespace):meta", "log").string)
            let first = try #require(requests.first { $0.headers["onewrite-first-seq"] == "1" })
            let (partition, last) = (first.headers["onewrite-partition"] ?? "", first.headers["onewrite-seq"] ?? "")
            #expect(first.headers["idempotency-key"] == "\(log)/\(partition)/\(last == "1" ? "1" : "1-\(last)")")
            #expect(first.headers["idempotency-key"] == first.headers["webhook-id"])
            #expect(first.headers["content-type"] == "application/json" && first.headers["onewrite-group"] == "hook")
            #expect(
                first.path == "/hooks" && first.headers["expect"] == nil && first.headers["webhook-signature"] == nil)
            await worker.kill()
        }
    }

    @Test("killed and stopped workers: every change at least once, in order, and the receiver ends equal to Postgres")
    func faults() async throws {
        try await withKindShop { shop in
            let receiving = Receiving()
            // Some answers are lost, some are refusals that pass.
            let calls = Mutex(0)
            let receiver = HTTPReceiver { request in
                let call = calls.withLock { calls in
                    calls += 1
                    return calls
                }
                if call % 97 == 0 { return HTTPReceiver.Answer(503) }
                var answer = receiving.take(request)
                answer.isCut = call % 89 == 0
                return answer
            }
            let ledger = try await shop.worker("--group", "postgres", log: "ledger.log")
            _ = try await shop.run(["group", "add", "hook"] + Self.add + [receiver.url, "--batch", "5"]).succeeded()
            var fleet = try await KindFleet(shop, "hook")
            try await fleet.torment(kills: 5, stops: 2, changes: 100)
            try receiving.isEqual(shop)
            #expect(receiving.state.withLock { $0.repeated } > 0, "an answer that was lost is a repetition")
            await ledger.kill()
        }
    }

    @Test("workers and servers are killed, workers stopped behind an answer: the receiver ends equal to Postgres")
    func torment() async throws {
        try await withOwnKindShop { shop in
            let receiving = Receiving()
            let isDown = Atomic(false)
            let receiver = HTTPReceiver { request in
                isDown.load(ordering: .relaxed) ? HTTPReceiver.Answer(503) : receiving.take(request)
            }
            let ledger = try await shop.worker("--group", "postgres", log: "ledger.log")
            _ = try await shop.run(["group", "add", "hook"] + Self.add + [receiver.url, "--batch", "5"]).succeeded()
            var fleet = try await KindFleet(shop, "hook")
            try await fleet.endure(.asked, stoppingAt: "batchHandedOver", changes: 60) {
                isDown.store(true, ordering: .relaxed)
                try await Task.sleep(for: .milliseconds(300))
                isDown.store(false, ordering: .relaxed)
            }
            try receiving.isEqual(shop)
            let refused = try (0..<KindShop.partitions).map {
                Int(try shop.redis("HGET", shop.key($0, "position:hook"), "refused").string ?? "0") ?? 0
            }
            let (repeated, stale) = receiving.state.withLock { ($0.repeated, $0.stale) }
            print("webhook: \(Torment.asked), refused \(refused), repeated \(repeated), stale at the receiver \(stale)")
            #expect(refused.reduce(0, +) > 0, "a worker was overtaken")
            #expect(repeated > 0, "what a worker had posted before it was stopped is posted again")
            await ledger.kill()
        }
    }

    @Test("it is signed as Standard Webhooks says, with a header of the receiver's own")
    func signed() async throws {
        try await withKindShop { shop in
            let receiving = Receiving()
            let receiver = HTTPReceiver(receiving.take)
            let secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            shop.set("HOOK_SECRET", "whsec_\(secret)")
            shop.set("HOOK_HEADER", "Authorization: Bearer hunter2")
            let worker = try await shop.worker()
            _ = try await shop.run(
                "group", "add", "hook", "--kind", "webhook", "--allow-private", "--url", receiver.url, "--secret-env",
                "HOOK_SECRET", "--header-env", "HOOK_HEADER"
            ).succeeded()
            try await shop.submit(id: "a", shop: "main", "TEA:2", attributes: #"{"note":"Zoë \"x\""}"#)
            try await shop.settled("hook")
            let request = try #require(receiving.state.withLock { $0.requests.first })
            #expect(request.headers["authorization"] == "Bearer hunter2")
            let content =
                "\(request.headers["webhook-id"] ?? "").\(request.headers["webhook-timestamp"] ?? "").\(request.body)"
            try content.write(toFile: shop.path("content"), atomically: true, encoding: .utf8)
            // Computed by somebody else.
            let hex = Data(base64Encoded: secret)!.map { String(format: "%02x", $0) }.joined()
            let signed = try await ChildProcess.run(
                ["/bin/sh", "-c", "openssl dgst -sha256 -mac HMAC -macopt hexkey:\(hex) -binary content | base64"],
                environment: [:], in: shop.directory)
            #expect(request.headers["webhook-signature"] == "v1,\(signed.output.dropLast())")
            let body = try #require(
                try JSONSerialization.jsonObject(with: Data(request.body.utf8)) as? [String: Any])
            #expect(body.text("type") == "order.placed")
            #expect(try body.object("data").text("id") == "a")
            let recorded = try shop.redis("HGET", "\(shop.servers.namespace):groups", "hook").string ?? ""
            #expect(!recorded.contains("hunter2") && !recorded.contains(secret))
            #expect(!shop.log().contains("hunter2"))
            await worker.kill()
        }
    }

    @Test("what the receiver says decides: later, set aside, halt; and a redirect is not followed")
    func answers() async throws {
        try await withKindShop { shop in
            let script = Mutex<[Int]>([503, 429, 422])
            let taken = Mutex<[String]>([])
            let receiver = HTTPReceiver { request in
                let seq = request.headers["onewrite-seq"] ?? ""
                let status = script.withLock { script in
                    // What is set aside, and what halts, is always so.
                    if script.first == 410 || script.first == 302 { return script[0] }
                    return script.isEmpty ? 200 : script.removeFirst()
                }
                if status == 200 { taken.withLock { $0.append(seq) } }
                var answer = HTTPReceiver.Answer(status)
                if status == 429 { answer.headers["Retry-After"] = "1" }
                if status == 302 { answer.headers["Location"] = "/elsewhere" }
                return answer
            }
            let worker = try await shop.worker()
            _ = try await shop.run(["group", "add", "hook"] + Self.add + [receiver.url, "--quarantine", "422,409"])
                .succeeded()
            try await shop.submit(id: "later", shop: "main", "TEA:1")
            try await shop.submit(id: "taken", shop: "main", "TEA:1")
            try await shop.settled("hook", within: .seconds(30))
            // Twice later, then 422: set aside, and the next one taken.
            #expect(taken.withLock { $0 } == ["2"])
            #expect(try shop.deadLetters("hook") == ["later": "refused HTTP 422"])
            script.withLock { $0 = [302] }
            try await shop.submit(id: "moved", shop: "main", "TEA:1")
            try await eventually(within: .seconds(20), "status says that it is halted: \(shop.log())") {
                let status = try await shop.run("status", "--json").output
                return status.contains("halted") && status.contains("HTTP 302: redirects are not followed")
            }
            #expect(taken.withLock { $0 } == ["2"])
            // Changed settings are taken up at once.
            script.withLock { $0 = [410] }
            _ = try await shop.run(["group", "change", "hook"] + Self.add + [receiver.url, "--batch", "2"]).succeeded()
            try await eventually(within: .seconds(20), "it is halted by 410") {
                try await shop.run("status", "--json").output.contains("HTTP 410: the receiver wants no more")
            }
            script.withLock { $0 = [] }
            _ = try await shop.run(["group", "change", "hook"] + Self.add + [receiver.url]).succeeded()
            try await shop.settled("hook")
            #expect(taken.withLock { $0 } == ["2", "3"])
            await worker.kill()
        }
    }

    @Test("a receiver that is down opens the circuit, shown in status, and is tried seldom")
    func circuit() async throws {
        try await withKindShop { shop in
            let isDown = Atomic(true)
            let calls = Atomic(0)
            let receiver = HTTPReceiver { _ in
                calls.add(1, ordering: .relaxed)
                var answer = HTTPReceiver.Answer(isDown.load(ordering: .relaxed) ? 500 : 200)
                answer.delay = .milliseconds(5)
                return answer
            }
            let worker = try await shop.worker()
            _ = try await shop.run(["group", "add", "hook"] + Self.add + [receiver.url]).succeeded()
            try await shop.submit(60)
            try await eventually(within: .seconds(20), "status shows the circuit: \(shop.log())") {
                try await shop.run("status", "--json").output.contains("HTTP 500. Circuit open for ")
            }
            try await Task.sleep(for: .seconds(2))
            // All of a worker's partitions together: 500 ms, 1 s, 2 s …
            #expect(calls.load(ordering: .relaxed) <= 6)
            isDown.store(false, ordering: .relaxed)
            try await shop.settled("hook")
            await worker.kill()
        }
    }

    @Test("a worker that is told to end does so between two requests")
    func stops() async throws {
        try await withKindShop { shop in
            let receiving = Receiving()
            let receiver = HTTPReceiver { request in
                var answer = receiving.take(request)
                answer.delay = .milliseconds(50)
                return answer
            }
            let ledger = try await shop.worker("--group", "postgres", log: "ledger.log")
            try await shop.submit(400)
            _ = try await shop.run(["group", "add", "hook"] + Self.add + [receiver.url]).succeeded()
            let worker = try await shop.worker("--group", "hook")
            try await eventually("it has begun") { receiving.state.withLock { $0.requests.count } > 5 }
            #expect(await worker.stop(within: .seconds(5)) == .exited(0), "\(shop.log())")
            let count = receiving.state.withLock { $0.requests.count }
            #expect(count < 300)
            let next = try await shop.worker("--group", "hook")
            try await shop.settled("hook")
            try receiving.isEqual(shop)
            #expect(receiving.state.withLock { $0.repeated } == 0)
            await next.kill()
            await ledger.kill()
        }
    }
}
