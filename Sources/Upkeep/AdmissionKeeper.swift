package import Connections
package import Coordination
package import OrderLog
import RedisClient
import RedisLog
package import ThreadedIO

/// Counts what shops may sell wherever that has to be counted, as long as a worker of group `stock` serves.
///
/// It has to where admission was turned on and not counted to the end, where Redis lost that, where stock set an entry aside, and
/// where its counters were made anew. Whatever it meets, it tries again.
package struct AdmissionKeeper: Sendable {
    /// How often it is looked: orders wait for it.
    private static let interval: Duration = .milliseconds(500)
    /// So that a worker of very many partitions stays cheap: a look takes some 0.1 ms.
    private static let intervalPerPartition: Duration = .milliseconds(10)

    private let servers: Servers
    private let outages: Outages
    private let interrupt: Interrupt
    private let served: @Sendable () -> [Partition]

    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - outages: For people: what goes wrong.
    ///   - interrupt: Ends it.
    ///   - served: The partitions that the worker serves at this moment.
    package init(
        _ servers: Servers, outages: Outages, interrupt: Interrupt, served: @escaping @Sendable () -> [Partition]
    ) {
        self.servers = servers
        self.outages = outages
        self.interrupt = interrupt
        self.served = served
    }

    /// Counts until the interrupt is signalled, on a thread of its own.
    package func run() async {
        do {
            try await CommandLane("admission").run { _ in keep() }
        } catch {
            outages.note(error, doing: "counting what may be sold", by: .admission, at: .now)
        }
    }

    private func keep() {
        var backoff = Backoff(first: .milliseconds(500), most: .seconds(10))
        var generator = SystemRandomNumberGenerator()
        var connection: RedisConnection?
        while !interrupt.isSignalled {
            var pause = max(Self.interval, Self.intervalPerPartition * served().count)
            do {
                let redis = try connection ?? servers.master(interrupt: interrupt)
                connection = redis
                let book = AdmissionBook(redis, servers.keys)
                // One that can't be counted doesn't keep the others from it.
                var trouble: LogError?
                for partition in served() { try count(partition, book, redis, &trouble) }
                if let trouble { throw trouble }
                backoff.reset()
                outages.over(for: .admission, at: .now)
            } catch {
                connection = nil
                if interrupt.isSignalled { return }
                let error = (error as? RedisError).map { StoreError($0) } ?? error
                outages.note(error, doing: "counting what may be sold", by: .admission, at: .now)
                pause = backoff.next(using: &generator)
            }
            interrupt.wait(until: .after(pause))
        }
    }

    private func count(
        _ partition: Partition, _ book: AdmissionBook, _ redis: RedisConnection, _ trouble: inout LogError?
    ) throws {
        guard try book.isUsed(in: partition) else { return }
        for (shop, state) in try book.states(in: partition) where state.phase != .on {
            guard let history = try redis.look(at: partition, servers.keys).history else { return }
            let outcome = try book.count(shop, in: partition, begun: state, under: history)
            if case .uncountable(let what) = outcome {
                trouble = LogError(
                    .tryAgain, "shop \(FieldError.shown(shop)): what may be sold can't be told: \(what)")
            }
        }
    }
}
