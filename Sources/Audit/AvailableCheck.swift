import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
import ThreadedIO

/// Compares what shops with admission may sell with their stock in Redis and what the log has behind its position.
///
/// Both are in one slot, so each SKU is compared as it stands at one moment, while orders come in.
struct AvailableCheck {
    /// How long all of it may wait for stock's worker to come near the log's end.
    private static let patience: Duration = .seconds(10)
    /// A switch is turned in Postgres first, and a moment later in Redis.
    private static let switchPatience: Duration = .seconds(1)
    private static let pause: Duration = .milliseconds(100)

    private let redis: RedisConnection
    private let keys: Keys
    private let book: AdmissionBook
    private let interrupt: Interrupt
    private let deadline = Deadline.after(Self.patience)

    init(_ redis: RedisConnection, _ keys: Keys, interrupt: Interrupt) {
        (self.redis, self.keys, self.interrupt) = (redis, keys, interrupt)
        book = AdmissionBook(redis, keys)
    }

    /// Compares which shops have it, in Redis and in Postgres, which has the last word.
    func checkSwitches(
        _ identity: LogIdentity, _ postgres: PostgresConnection?, _ findings: inout AuditFindings
    ) throws {
        guard let postgres else { return }
        let deadline = Deadline.after(Self.switchPatience)
        while true {
            var wanted: [Partition: Set<Name>] = [:]
            for (shop, partition) in try Admission.shops(on: postgres, until: .after(PostgresSink.timeout)) {
                wanted[partition, default: []].insert(Name(shop))
            }
            var wrong: [(Partition, Name, isWanted: Bool)] = []
            for partition in identity.partitioning.all {
                let there = Set(try book.states(in: partition).map { Name($0.shop) })
                let wanted = wanted[partition, default: []]
                wrong += there.symmetricDifference(wanted).sorted().map { (partition, $0, wanted.contains($0)) }
            }
            if wrong.isEmpty { return }
            if deadline.hasPassed || interrupt.isSignalled {
                for (partition, shop, isWanted) in wrong {
                    findings.differ(
                        .available, in: partition.number, shop.text,
                        expected: isWanted ? "admission on" : "admission off",
                        found: isWanted ? "off in Redis" : "on in Redis")
                }
                return
            }
            interrupt.wait(until: .after(Self.pause))
        }
    }

    /// Compares a partition's shops.
    func check(
        _ partition: Partition, _ findings: inout AuditFindings, _ doubts: inout [String]
    ) throws {
        for (shop, state) in try book.states(in: partition) {
            guard let history = try redis.look(at: partition, keys).history else {
                // That its log is closed is said already, or will be by whoever comes next.
                doubts.append("partition \(partition): what may be sold was not compared: its log is closed")
                return
            }
            if let doubt = try check(shop, state, partition, history, &findings) {
                doubts.append("partition \(partition), shop \(FieldError.shown(shop)): \(doubt)")
            }
        }
    }

    private func check(
        _ shop: String, _ state: AdmissionBook.State, _ partition: Partition, _ history: History,
        _ findings: inout AuditFindings
    ) throws -> String? {
        var state = state
        while true {
            var (doubt, obstacle): (String, String?) = (
                "what may be sold is being counted: a worker of group stock ends that", nil
            )
            if state.phase == .on {
                switch try book.compare(shop, in: partition, under: history) {
                case .done(let (count, differing)):
                    // Another counting may have begun meanwhile, and what was compared is none of its numbers.
                    state = try phase(of: shop, partition)
                    if state.phase != .on { break }
                    findings.count(.available, count)
                    for difference in differing {
                        findings.differ(
                            .available, in: partition.number, "\(shop) \(difference.sku)",
                            expected: difference.expected, found: difference.found)
                    }
                    return nil
                case .off: return nil
                case .historyChanged: return "its log was closed or opened anew meanwhile"
                case .behind(let count):
                    doubt =
                        "what may be sold was not compared: stock has to apply \(FieldError.spaced(count)) entries first"
                // Be it an entry that is no change: stock sets it aside.
                case .uncountable(let what): obstacle = what
                }
            }
            if deadline.hasPassed || interrupt.isSignalled {
                guard let obstacle else { return doubt }
                findings.differ(
                    .available, in: partition.number, shop, expected: "numbers that can be compared", found: obstacle)
                return nil
            }
            interrupt.wait(until: .after(Self.pause))
            state = try phase(of: shop, partition)
            if state.phase == .off { return nil }
        }
    }

    private func phase(of shop: String, _ partition: Partition) throws -> AdmissionBook.State {
        try book.states(in: partition).first { $0.shop.hasSameBytes(as: shop) }?.state ?? AdmissionBook.State.off
    }
}
