import Harness
import OrderLog
import PostgresClient
import PrivateServers
import RedisClient
import RedisLog
import Sinks
import Testing
import TestSupport
import ThreadedIO

@testable import Simulation

@Suite("The simulated servers")
struct ConformanceTests {
    @Test("answer every call of the ports as the real ones do")
    func conform() async throws {
        try await withServers { servers in
            try await PortLane().run { _ in
                let partitioning = try #require(Partitioning(count: 120))
                let real = try await RealServers(servers, partitioning)
                for partition in partitioning.all {
                    try await compare(
                        try real.side(partition), try SimulatedServers.side(real.identity), seed: partition.number + 1)
                }
            }
        }
    }

    private func compare(_ real: Side, _ simulated: Side, seed: Int) async throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        var calls: [String] = []
        for _ in 0..<50 {
            let call = Self.call(&generator)
            let expected = try await real.perform(call)
            let outcome = try await simulated.perform(call)
            calls.append("\(call) → \(expected)")
            guard outcome == expected else {
                Issue.record("seed \(seed): the simulated servers say \(outcome)\n\(calls.joined(separator: "\n"))")
                return
            }
        }
        #expect(try await simulated.state() == real.state(), "seed \(seed)\n\(calls.joined(separator: "\n"))")
    }

    private static func call(_ generator: inout SeededGenerator) -> PortCall {
        let group = Side.groups[generator.below(2)]
        let worker = generator.below(2)
        let limit = 1 + generator.below(4)
        return switch generator.below(39) {
        case 0..<5: .append(first: generator.below(9), count: limit, payload: 1 + generator.below(8) / 7)
        case 5..<7: .look
        case 7..<12: .read(group, worker: worker, limit: limit)
        case 12..<14: .reclaim(group, worker: worker, limit: limit)
        case 14: .range(limit: limit)
        case 15: .lastEntries(limit: limit)
        case 16: .createGroup(group)
        case 17: generator.chance(300) ? .destroyGroup(group) : .createGroup(group)
        case 18: .removeIdleConsumers(group, worker: worker)
        case 19..<22: .fence(group, worker: worker, underLastLook: generator.chance(200))
        case 22..<26: .apply(group, worker: worker, limit: limit)
        case 26: .acknowledge(group, worker: worker)
        case 27: generator.chance(500) ? .shut : .look
        case 28: .reserve(isStale: generator.chance(300))
        case 29..<31: .open(isLast: generator.chance(800))
        case 31: .confirm
        case 32: .changeIDs
        case 36: .turnAdmission(isOn: generator.chance(800))
        case 37..<39: .count
        case 33..<35: .trim(behind: generator.below(6))
        default: generator.chance(400) ? .loseLast : .look
        }
    }
}

/// A lane of the test's own, on which its connections live.
actor PortLane {
    private let executor = ThreadExecutor(name: "ports")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    func run(_ body: @Sendable (isolated PortLane) async throws -> Void) async throws {
        try await body(self)
    }
}

/// The ports over real servers.
final class RealServers {
    let identity: LogIdentity
    private let redis: RedisConnection
    private let postgres: PostgresConnection
    private let keys: Keys

    init(_ servers: TestServers, _ partitioning: Partitioning) async throws {
        keys = try #require(Keys(namespace: servers.namespace))
        redis = try RedisConnection(
            connectingTo: RedisConfiguration(url: servers.redis.url), until: .after(.seconds(5)), interrupt: nil)
        var configuration = try PostgresConfiguration(url: servers.postgres.url)
        configuration.schema = servers.namespace
        postgres = try PostgresConnection(connectingTo: configuration, until: .after(.seconds(5)), interrupt: nil)
        identity = try await LogCreation(redis: redis, keys: keys, postgres: postgres, schema: servers.namespace)
            .create(partitioning, mustMatch: true)
    }

    func side(_ partition: Partition) throws -> Side {
        let (redis, keys, identity, postgres) = (redis, keys, identity, postgres)
        let book = AdmissionBook(redis, keys)
        let ledger = PostgresSink(postgres)
        var logs: [Group: [any TrimmableLog]] = [:]
        for group in Side.groups {
            logs[group] = Side.names.map { StreamLog(redis, keys: keys, group: group, consumer: $0) }
        }
        func call(_ words: [String]) throws -> RedisReply {
            var command = RedisCommand(words[0])
            command.append(contentsOf: Array(words.dropFirst()))
            return try redis.call(command, until: .after(.seconds(5)))
        }
        return Side(
            partition, identity, logs: logs,
            sinks: [
                .postgres: ledger, .stock: RedisSink.stock(SinkScripts(redis, keys: keys, group: .stock)),
            ], ledger: ledger,
            outside: Side.Outside(
                append: { changes in
                    let appender = Appender(redis, keys: keys, identity: identity, window: .seconds(3600))
                    switch try appender.append(changes, to: partition, until: .after(.seconds(5))) {
                    case .appended(_, let results): return "\(results.map { "\($0.outcome) \($0.seq)" })"
                    case .closed: return "closed"
                    case .noLog: return "noLog"
                    case .mismatch: return "mismatch"
                    case .counting: return "counting"
                    case .uncountable(let what): return what
                    }
                },
                destroyGroup: { _ = try call(["XGROUP", "DESTROY", keys.log(partition), $0.name]) },
                loseLast: {
                    let last = try call(["XREVRANGE", keys.log(partition), "+", "-", "COUNT", "1"])
                    guard let entry = last.elements.first, let id = entry[0].string else { return }
                    let fields = entry[1].elements.compactMap(\.string)
                    guard let at = fields.firstIndex(of: "id"), let seq = fields.firstIndex(of: "seq"),
                        let number = Int(fields[seq + 1])
                    else { return }
                    _ = try call(["XDEL", keys.log(partition), id])
                    _ = try call(["HSET", keys.head(partition), "seq", "\(number - 1)", "replid", "lost"])
                    try WindowProbe(keys.seen(partition)) { try call($0) }.forget("main \(fields[at + 1])")
                },
                turnAdmission: { isOn, history in
                    // Every partition has a shop of this name here.
                    try Admission.set(false, for: "main", in: partition, on: postgres, until: .after(.seconds(5)))
                    if isOn {
                        try Admission.set(true, for: "main", in: partition, on: postgres, until: .after(.seconds(5)))
                    }
                    _ = try book.change(isOn ? .on : .off, "main", in: partition, under: history)
                },
                count: { history in
                    guard let state = try book.states(in: partition).first?.state, state.phase != .on else { return }
                    _ = try book.count("main", in: partition, begun: state, under: history)
                },
                available: {
                    let phase = try book.states(in: partition).first?.state.phase ?? .off
                    let number = try call(["HGET", keys.available(partition, shop: "main"), "TEA"]).string
                    return "\(phase) \(number ?? "0")"
                }))
    }
}

/// The same over simulated ones, of one partition.
enum SimulatedServers {
    static func side(_ identity: LogIdentity) throws -> Side {
        var milliseconds: Int64 = 1000
        let redis = SimulatedRedis("m", partitions: [PartitionKeys()], judge: nil) {
            milliseconds += 1
            return milliseconds
        }
        redis.behindMax = Int64(AdmissionBook.behindMax)
        let postgres = SimulatedPostgres(partitions: 1, judge: nil)
        let partition = Partition(0)
        let epoch = try #require(
            postgres.reserve(
                partition, row: postgres.row(partition), headEpoch: nil, replid: redis.replid, owner: .initialiser))
        _ = redis.open(
            partition, seen: redis.look(partition), epoch: epoch, identity: identity, admitted: false, healing: [],
            isLast: true)
        redis.write(partition) { keys in
            for group in Side.groups { keys.groups[group.place] = PartitionKeys.ConsumerGroup(lastDelivered: .zero) }
        }
        let wire = Wire(redis, .redis, nil)
        let ledger = SimulatedLedger(postgres, Wire(postgres, .postgres, nil)) { _ in }
        var logs: [Group: [any TrimmableLog]] = [:]
        for group in Side.groups {
            logs[group] = Side.names.map { SimulatedLog(redis, wire, group, $0, nil) }
        }
        return Side(
            partition, identity, logs: logs,
            sinks: [.postgres: ledger, .stock: SimulatedSink(redis, wire, .stock) { _ in }], ledger: ledger,
            outside: Side.Outside(
                append: { changes in
                    switch redis.append(partition, changes.map(Submission.init)) {
                    case .appended(let results): return "\(results.map { "\($0.outcome) \($0.seq)" })"
                    case .closed: return "closed"
                    case .noLog: return "noLog"
                    case .counting: return "counting"
                    }
                },
                destroyGroup: { group in redis.write(partition) { $0.groups[group.place] = nil } },
                loseLast: {
                    redis.write(partition) { keys in
                        guard let item = keys.log.popLast(), let seq = item.entry.place?.seq, let head = keys.head,
                            case .change(let change) = item.entry.content
                        else { return }
                        keys.head = head.opened(epoch: head.epoch, seq: seq.previous, replid: "lost")
                        keys.seen["main \(change.id)"] = nil
                    }
                },
                turnAdmission: { isOn, history in
                    postgres.admits[0] = isOn
                    _ = redis.turnAdmission(isOn, partition, under: history)
                },
                count: { history in
                    guard let state = redis.keys(partition).admission, state != .on,
                        redis.countAvailable(partition, under: history) != nil
                    else { return }
                    redis.endCounting(partition, state, under: history)
                },
                available: {
                    let keys = redis.keys(partition)
                    return "\(keys.phase) \(keys.available)"
                }))
    }
}

extension PartitionKeys {
    fileprivate var phase: AdmissionBook.State.Phase {
        switch admission {
        case nil: .off
        case .on?: .on
        case .starting?: .starting
        case .counting?: .counting
        }
    }
}
