#if Kafka
import Foundation
import PrivateServers
import RedisClient
import Synchronization
import Testing
import TestSupport

@Suite("A topic of Kafka's", .enabled(if: KafkaBroker.isThere, "no ONEWRITE_TEST_KAFKA: scripts/test sets it"))
struct KafkaKindTests {
    private static let topicPartitions = 3

    /// A broker, a topic and a group that leads there.
    private static func add(
        _ shop: KindShop, _ broker: KafkaBroker, _ arguments: String..., group: String = "ship"
    ) async throws {
        _ = try await shop.run(
            ["group", "add", group, "--kind", "kafka", "--brokers", broker.address, "--topic", "orders"] + arguments
        ).succeeded()
    }

    private static func broker() async throws -> KafkaBroker {
        let broker = try await KafkaBroker()
        try await broker.createTopic("orders", partitions: topicPartitions)
        return broker
    }

    /// A message that is committed.
    private struct Message {
        let key: String
        let partition: Int
        let seq: Int
        /// `seq type id`.
        let text: String
        let committedAt: Int64
        let trace: String
    }

    /// What is committed, in the topic's order, and how many messages are not.
    private static func committed(_ broker: KafkaBroker) throws -> (messages: [Message], aborted: Int) {
        var messages: [Message] = []
        var aborted = 0
        for partition in 0..<topicPartitions {
            for record in try broker.records(of: "orders", partition: partition) {
                guard record.isCommitted else {
                    aborted += 1
                    continue
                }
                let object = try JSONSerialization.jsonObject(with: Data(record.value.utf8)) as? [String: Any] ?? [:]
                let seq = object.int("seq") ?? 0
                messages.append(
                    Message(
                        key: record.key, partition: object.int("partition") ?? -1, seq: seq,
                        text: "\(seq) \(object.text("type") ?? "") \(object.text("id") ?? "")",
                        committedAt: record.committedAt ?? 0,
                        trace: "topic's partition \(partition) \(record.trace)"))
                #expect(record.key == object.text("shop"))
            }
        }
        return (messages, aborted)
    }

    /// Each change is there once, and a shop's in one partition of the topic, in the log's order.
    ///
    /// But what this broker made come twice: asked where the group is, it told less than it had committed.
    private static func check(_ shop: KindShop, _ broker: KafkaBroker, group: String = "ship") throws {
        let log = try #require(try shop.redis("HGET", "\(shop.servers.namespace):meta", "log").string)
        let messages = try committed(broker).messages
        var found: [Int: [Int: Message]] = [:]
        var last: [String: Int] = [:]
        var forgotten = 0
        for message in messages {
            if let former = found[message.partition]?[message.seq] {
                let name = "onewrite-\(log)-\(group)-\(message.partition)"
                let isForgotten = broker.forgot(name, offset: message.seq, committedAt: former.committedAt)
                #expect(isForgotten, "\(message.partition):\(message.text) twice: \(former.trace); \(message.trace)")
                forgotten += 1
                continue
            }
            found[message.partition, default: [:]][message.seq] = message
            #expect(message.seq > last[message.key] ?? 0, "\(message.key): \(message.text): \(message.trace)")
            last[message.key] = message.seq
        }
        let ledger = try shop.ledger()
        for partition in 0..<KindShop.partitions {
            let texts = (found[partition] ?? [:]).values.sorted { $0.seq < $1.seq }.map(\.text)
            #expect(texts == ledger[partition] ?? [], "partition \(partition)")
        }
        if forgotten > 0 {
            print("kafka: \(forgotten) messages came twice, since the broker forgot an offset that it had committed")
        }
    }

    @Test("every change is there once, in a shop's order, with its place in headers; read by kcat")
    func follows() async throws {
        try await withKindShop { shop in
            let broker = try await Self.broker()
            try await shop.submit(300)
            let worker = try await shop.worker()
            try await Self.add(shop, broker)
            try await shop.submit(300)
            try await shop.settled("ship")
            try Self.check(shop, broker)
            let read = try await ChildProcess.run(
                [
                    "kcat", "-b", broker.address, "-t", "orders", "-C", "-e", "-q", "-X",
                    "isolation.level=read_committed", "-f", "%k|%h|%T|%s\n",
                ])
            let lines = read.output.split(separator: "\n")
            #expect(lines.count == 600, "\(read.errors)")
            let first = try #require(lines.first { $0.contains("onewrite-seq=1,") })
            let parts = first.split(separator: "|", maxSplits: 3).map(String.init)
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(parts[3].utf8)) as? [String: Any])
            #expect(
                parts[1]
                    == "onewrite-partition=\(object.int("partition") ?? -1),onewrite-epoch=1,onewrite-seq=1,onewrite-type=\(object.text("type") ?? "")"
            )
            #expect(object.text("entry") == "\(parts[2])-0" || object.text("entry")?.hasPrefix("\(parts[2])-") == true)
            await worker.kill()
        }
    }

    @Test("delivery jobs instead of changes, by the order's ID")
    func jobs() async throws {
        try await withKindShop { shop in
            let broker = try await Self.broker()
            let worker = try await shop.worker()
            try await Self.add(shop, broker, "--value", "job", "--key", "order")
            try await shop.submit(100)
            try await shop.settled("ship")
            try await shop.settled("delivery")
            var jobs: Set<String> = []
            for partition in 0..<Self.topicPartitions {
                for record in try broker.records(of: "orders", partition: partition) where record.isCommitted {
                    #expect(record.value.contains("\"order\":\"\(record.key)\""))
                    jobs.insert(record.value)
                }
            }
            // What the delivery list has, byte for byte.
            let list = try (0..<KindShop.partitions).flatMap {
                try shop.redis("LRANGE", shop.key($0, "deliveries"), "0", "-1").elements.compactMap(\.string)
            }
            #expect(jobs == Set(list) && jobs.count > 80)
            await worker.kill()
        }
    }

    @Test(
        "delivery is led to a topic while orders come in and workers run: each job is in the list or in the topic, once"
    )
    func deliveryMoves() async throws {
        try await withKindShop { shop in
            let broker = try await Self.broker()
            let workers = [try await shop.worker(), try await shop.worker(log: "other.log")]
            try await shop.submit(200)
            async let submitted: Void = shop.submit(400)
            let change = [
                "group", "change", "delivery", "--kind", "kafka", "--brokers", broker.address, "--topic", "orders",
            ]
            let wrong = try await shop.run(change + ["--key", "customer"])
            #expect(wrong.code == 78 && wrong.errors.contains("--key: expected shop or order"), "\(wrong.errors)")
            let moved = try await shop.run(change + ["--value", "job"])
            #expect(moved.code == 0, "\(moved.errors)")
            try await submitted
            try await shop.submit(200)
            try await shop.settled("delivery")
            let list = try (0..<KindShop.partitions).flatMap {
                try shop.redis("LRANGE", shop.key($0, "deliveries"), "0", "-1").elements.compactMap(\.string)
            }
            let topic = try (0..<Self.topicPartitions).flatMap {
                try broker.records(of: "orders", partition: $0).filter(\.isCommitted).map(\.value)
            }
            #expect(list.count >= 100 && topic.count >= 150, "\(list.count) \(topic.count)")
            let orders = try shop.rows("SELECT count(*) FROM ledger WHERE type LIKE 'order.%'")
            #expect(Set(list + topic).count == list.count + topic.count && "\(list.count + topic.count)" == orders[0])
            let listed = try await shop.run("group", "list")
            #expect(listed.output.contains(/delivery +kafka +from start +exactly once, for read_committed/))
            let audit = try await shop.run("audit")
            #expect(audit.code == 0, "\(audit.output)")
            let rebuild = try await shop.run("rebuild", "delivery", "--since", "1h")
            #expect(
                rebuild.code == 1 && rebuild.errors.contains("delivery is led to a store of kind kafka"),
                "\(rebuild.errors)")
            let again = try await shop.run(change + ["--value", "change"])
            #expect(again.code == 0, "other settings of the same kind: \(again.errors)")
            for worker in workers { await worker.kill() }
        }
    }

    @Test("killed and stopped workers, cut connections: every change is committed once, in order")
    func faults() async throws {
        try await withKindShop { shop in
            let broker = try await Self.broker()
            let ledger = try await shop.worker("--group", "postgres", log: "ledger.log")
            try await Self.add(shop, broker)
            var fleet = try await KindFleet(shop, "ship")
            let cutting = Task {
                while !Task.isCancelled {
                    try await Task.sleep(for: .milliseconds(700))
                    broker.cut()
                }
            }
            try await fleet.torment(kills: 5, stops: 2, changes: 150)
            cutting.cancel()
            try Self.check(shop, broker)
            await ledger.kill()
        }
    }

    @Test(
        "workers and servers are killed, workers stopped before a commit, brokers gone: each change is committed once")
    func torment() async throws {
        try await withOwnKindShop { shop in
            let broker = try await Self.broker()
            let ledger = try await shop.worker("--group", "postgres", log: "ledger.log")
            try await Self.add(shop, broker)
            var fleet = try await KindFleet(shop, "ship")
            try await fleet.endure(.asked, stoppingAt: "batchHandedOver", changes: 60) {
                // In memory, it would forget all of it if it were killed.
                broker.setDown(true)
                broker.send(SIGSTOP)
                try await Task.sleep(for: .milliseconds(500))
                broker.send(SIGCONT)
                broker.setDown(false)
            }
            try Self.check(shop, broker)
            let aborted = try Self.committed(broker).aborted
            print("kafka: \(Torment.asked), messages of transactions that were fenced or aborted \(aborted)")
            #expect(aborted > 0, "a worker was overtaken")
            await ledger.kill()
        }
    }

    /// How many orders; nil where nobody asked for a measurement.
    private static let measured = ProcessInfo.processInfo.environment["ONEWRITE_TEST_KAFKA_BENCH"].flatMap { Int($0) }

    /// Prints rates in turn, in a log of one partition, of the release build where there is one.
    ///
    /// `ONEWRITE_TEST_KAFKA_BENCH=100000` asks for it.
    @Test("throughput beside a bare transactional loop in C on the same broker", .enabled(if: measured != nil))
    func throughput() async throws {
        let count = Self.measured ?? 0
        let release = Repository.root.appending(path: ".build/release/onewrite").path
        let program = FileManager.default.fileExists(atPath: release) ? release : BuiltExecutable.path
        try await withServers { servers in
            let shop = try await KindShop(servers, partitions: 1)
            let bare = shop.path("barekafka")
            let compiled = try await ChildProcess.run(
                [
                    "cc", "-O2", Repository.root.appending(path: "Tests/BareLoop/barekafka.c").path, "-lhiredis",
                    "-lrdkafka",
                    "-o", bare,
                ], environment: [:])
            try #require(compiled.status == .exited(0), "\(compiled.errors)")
            try await shop.submit(count)
            let ledger = try await shop.worker("--group", "postgres", log: "ledger.log")
            try await eventually(within: .seconds(300), "Postgres has all") {
                try shop.rows("SELECT seq FROM partitions") == ["\(count)"]
            }
            let socket = URL(string: servers.redis.url)?.path ?? ""
            var ratios: [Double] = []
            for round in 0..<4 {
                // A broker of its own for each: one in memory gets slower as it fills.
                func theirs() async throws -> Double {
                    let broker = try await Self.broker()
                    let ran = try await ChildProcess.run(
                        [bare, shop.key(0, "log"), "orders", broker.address],
                        environment: ["BAREKAFKA_SOCKET": socket], within: .seconds(300))
                    try #require(ran.status == .exited(0), "\(ran.errors)")
                    return Double(ran.output.split(whereSeparator: \.isWhitespace).last ?? "") ?? 0
                }
                func ours() async throws -> Double {
                    let broker = try await Self.broker()
                    let group = "ship-\(round)"
                    try await Self.add(shop, broker, group: group)
                    let worker = try await ChildProcess.spawn(
                        [program, "worker", "--group", group], environment: shop.environment, in: shop.directory,
                        output: .discarded, errors: .appended(to: shop.path("bench.log")))
                    // From its first batch on: the other one's start isn't counted either.
                    try await eventually(within: .seconds(60), "it has begun") { try shop.position(group) > 0 }
                    let (begin, start) = (try shop.position(group), ContinuousClock.now)
                    try await shop.settled(group, within: .seconds(300))
                    let seconds = start.duration(to: .now) / .seconds(1)
                    await worker.kill()
                    return Double(count - begin) / seconds
                }
                let (our, their): (Double, Double)
                if round.isMultiple(of: 2) {
                    their = try await theirs()
                    our = try await ours()
                } else {
                    our = try await ours()
                    their = try await theirs()
                }
                ratios.append(our / their)
                print(
                    "kafka: \(Int(our)) messages/s, the bare loop \(Int(their)): \(String(format: "%.2f", our / their))"
                )
            }
            print("kafka: \(program), ratios \(ratios.sorted().map { String(format: "%.2f", $0) })")
            await ledger.kill()
        }
    }

    @Test("a worker that was stopped past its lease is fenced: what it had begun is never committed")
    func fenced() async throws {
        try await withKindShop { shop in
            shop.set("ONEWRITE_LEASE", "1s")
            let broker = try await Self.broker()
            let ledger = try await shop.worker("--group", "postgres", log: "ledger.log")
            try await Self.add(shop, broker)
            // Stopped between what it produced and the commit.
            let zombie = try await ChildProcess.spawn(
                [BuiltExecutable.path, "worker", "--group", "ship", "--name", "zombie"],
                environment: shop.environment.merging(["ONEWRITE_FAULT": "batchHandedOver:stop:1"]) { $1 },
                in: shop.directory, output: .discarded, errors: .appended(to: shop.path("zombie.log")))
            try await shop.submit(60)
            try await eventually("it is stopped: \(shop.log("zombie.log"))") {
                try String(contentsOfFile: "/proc/\(zombie.pid)/stat", encoding: .utf8).contains(") T ")
            }
            let heir = try await shop.worker("--group", "ship", "--name", "heir", log: "heir.log")
            try await shop.settled("ship")
            zombie.send(SIGCONT)
            try await eventually(within: .seconds(20), "it is refused: \(shop.log("zombie.log"))") {
                try await shop.run("status", "--json").output.contains("\"zombie\"")
            }
            try await shop.submit(60)
            try await shop.settled("ship")
            try Self.check(shop, broker)
            #expect(try Self.committed(broker).aborted > 0, "it had produced something")
            await zombie.kill()
            await heir.kill()
            await ledger.kill()
        }
    }

    @Test("a broker that can't be reached stalls the group, says so, and nothing is lost")
    func down() async throws {
        try await withKindShop { shop in
            let broker = try await Self.broker()
            let worker = try await shop.worker()
            try await Self.add(shop, broker)
            try await shop.submit(50)
            try await shop.settled("ship")
            broker.setDown(true)
            try await shop.submit(50)
            try await eventually(within: .seconds(60), "status says why: \(shop.log())") {
                try await shop.run("status", "--json").output.contains("ship: Kafka: ")
            }
            for group in ["stock", "delivery"] { try await shop.settled(group) }
            broker.setDown(false)
            try await shop.settled("ship")
            try Self.check(shop, broker)
            await worker.kill()
        }
    }

    @Test("a change larger than a message may be is set aside; the others go on")
    func tooLarge() async throws {
        try await withKindShop { shop in
            let broker = try await Self.broker()
            let worker = try await shop.worker()
            try await Self.add(shop, broker, "--property", "message.max.bytes=4000")
            let note = #"{"note":"\#(String(repeating: "x", count: 6000))"}"#
            try await shop.submit(id: "a", shop: "main", "TEA:1")
            try await shop.submit(id: "large", shop: "main", "TEA:1", attributes: note)
            try await shop.submit(id: "b", shop: "main", "TEA:1")
            try await shop.settled("ship")
            #expect(
                try Self.committed(broker).messages.map { $0.text.split(separator: " ").last } == ["a", "b"])
            #expect(try shop.deadLetters("ship")["large"]?.hasPrefix("refused Kafka: ") == true)
            await worker.kill()
        }
    }

    @Test("what can't work is refused when the group is added, with the reason")
    func refusals() async throws {
        try await withKindShop { shop in
            let broker = try await Self.broker()
            let kafka = ["group", "add", "g", "--kind", "kafka", "--brokers", broker.address, "--topic"]
            let cases: [(code: Int32, arguments: [String], reason: String)] = [
                (78, kafka + ["nothing"], "--topic nothing: "),
                (78, kafka + ["no topic"], "--topic: expected 1 to 249 of"),
                (78, kafka + ["orders", "--key", "customer"], "--key: expected shop or order, got \"customer\""),
                (78, kafka + ["orders", "--property", "colour=red"], "--property colour: librdkafka doesn't take it"),
                (
                    78, kafka + ["orders", "--property", "transactional.id=x"],
                    "transactional.id: Onewrite sets it itself"
                ),
                (78, kafka + ["orders", "--property", "sasl.password=hunter2"], "a secret is not recorded"),
                (78, kafka + ["orders", "--property", "sasl.password=env:NOT_SET"], "\"NOT_SET\" is not set here"),
                (78, kafka + ["orders", "--property", "sasl.password=file:none"], "\"none\" can't be read"),
                (64, kafka + ["orders", "--property", "colour"], "--property: expected name=value"),
                (78, ["group", "add", "g", "--kind", "kafka", "--topic", "orders"], "--brokers is missing"),
                (
                    69, ["group", "add", "g", "--kind", "kafka", "--topic", "orders", "--brokers", "127.0.0.1:1"],
                    "--brokers 127.0.0.1:1: "
                ),
            ]
            for (code, arguments, reason) in cases {
                let ran = try await shop.run(arguments)
                #expect(
                    ran.code == code && ran.errors.contains(reason), "\(arguments): \(ran.code ?? -1) \(ran.errors)")
                #expect(!ran.errors.contains("hunter2"))
            }
            #expect(try shop.redis("HEXISTS", "\(shop.servers.namespace):groups", "g").integer == 0)
        }
    }
}
#endif
