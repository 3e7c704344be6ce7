package import Connections
import Coordination
package import OrderLog
import PostgresClient
import RedisClient
import RedisLog
import Sinks
package import ThreadedIO

/// Turns admission on and off for shops, and has what they may sell counted.
///
/// Postgres has it first: whoever opens the log takes the word from there, so it survives a Redis that lost its tail, or everything.
/// For a lane, whose thread it blocks.
package struct AdmissionSwitch {
    private let redis: RedisConnection
    private let postgres: PostgresConnection
    private let identity: LogIdentity
    private let interrupt: Interrupt
    private let book: AdmissionBook
    private let keys: Keys

    /// Connects.
    ///
    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - interrupt: Ends every wait.
    /// - Throws: ``LogError`` for a schema that is not this log's, and for a log of a format without admission; the servers' errors.
    package init(_ servers: Servers, interrupt: Interrupt) throws {
        redis = try servers.master(interrupt: interrupt)
        keys = servers.keys
        identity = try servers.identity(redis)
        guard identity.format >= Admission.format else {
            throw LogError(
                .badConfiguration,
                "the log is of format \(identity.format), in which programs append without looking at what may be sold. Run: onewrite upgrade"
            )
        }
        postgres = try servers.primary(interrupt: interrupt)
        try Servers.requireSchema(of: identity, on: postgres)
        self.interrupt = interrupt
        book = AdmissionBook(redis, keys)
    }

    /// Turns a shop's on or off.
    ///
    /// - Parameters:
    ///   - isOn: Which.
    ///   - shop: A name.
    ///   - deadline: When to give up; what was begun then, a worker of group `stock` ends.
    ///   - progress: Takes what is waited for.
    /// - Throws: ``LogError`` when the log can't be worked on, or it wasn't counted in time; the servers' errors.
    package func turn(
        _ isOn: Bool, _ shop: String, until deadline: Deadline, _ progress: (String) -> Void
    ) throws {
        let partition = identity.partitioning.partition(ofShop: shop)
        try Admission.set(isOn, for: shop, in: partition, on: postgres, until: .after(PostgresSink.timeout))
        try settle(isOn ? .on : .off, shop, partition, deadline, progress)
    }

    /// Has what a shop may sell counted anew; its orders wait meanwhile.
    package func countAnew(
        _ shop: String, in partition: Partition, until deadline: Deadline, _ progress: (String) -> Void
    ) throws {
        try settle(.anew, shop, partition, deadline, progress)
    }

    /// The shops of a partition that have it, in Redis or in Postgres.
    package func shops(in partition: Partition) throws -> [String] {
        let wanted = try Admission.shops(on: postgres, until: .after(PostgresSink.timeout))
            .filter { $0.partition == partition }
        return Set(try (wanted.map(\.shop) + book.states(in: partition).map(\.shop)).map(Name.init)).sorted()
            .map(\.text)
    }

    /// Makes Redis say what Postgres says of a shop.
    package func heedPostgres(_ shop: String, until deadline: Deadline, _ progress: (String) -> Void) throws {
        let wanted = try Admission.shops(on: postgres, until: .after(PostgresSink.timeout))
            .contains { $0.shop.hasSameBytes(as: shop) }
        try settle(wanted ? .on : .off, shop, identity.partitioning.partition(ofShop: shop), deadline, progress)
    }

    private func settle(
        _ wish: AdmissionBook.Wish, _ shop: String, _ partition: Partition, _ deadline: Deadline,
        _ progress: (String) -> Void
    ) throws {
        var wish = wish
        var obstacle = "its log is closed: a worker of group postgres, or onewrite open, opens it"
        var backoff = Backoff(first: .milliseconds(20), most: .milliseconds(500))
        var generator = SystemRandomNumberGenerator()
        while true {
            if let history = try redis.look(at: partition, keys).history {
                if case .done(let state) = try book.change(wish, shop, in: partition, under: history) {
                    if state.phase == .on || state.phase == .off { return }
                    // It is to be counted anew once.
                    wish = .on
                    switch try book.count(shop, in: partition, begun: state, under: history) {
                    case .done(let state) where state.phase == .on: return
                    case .done, .historyChanged: obstacle = "the log was opened anew, or another counting has begun"
                    case .off: return
                    case .behind(let count):
                        obstacle = "group stock has to apply \(FieldError.spaced(count)) entries first"
                    // Be it an entry that is no change: stock sets it aside.
                    case .uncountable(let what): obstacle = "what may be sold can't be told: \(what)"
                    }
                }
            }
            if interrupt.isSignalled { throw LogError(.tryAgain, "stopped: \(obstacle)") }
            guard !deadline.hasPassed else { throw LogError(.tryAgain, "not in time: \(obstacle)") }
            progress(obstacle)
            interrupt.wait(until: .after(backoff.next(using: &generator)))
        }
    }
}
