import OrderLog
import RedisClient
import ThreadedIO

/// Reads of partitions that are on several servers: a command a partition, all under way at once, and one wait for all.
///
/// What goes wrong with a partition is told with its entries, so that the others go on.
final class ShardReads {
    private let connection: RedisConnection
    private let keys: Keys
    private let listener: ShardListener
    private let bell: Interrupt?
    private var underWay: [Partition] = []
    /// The channels on which something was heard since they were asked.
    private var heard: Set<String> = []
    /// Partitions that had nothing when they were last asked, and of which nothing was heard since.
    private var quiet: Set<Partition> = []
    /// When all are asked: a message can be lost, and not everybody who writes says so.
    private var allDue: ContinuousClock.Instant?

    /// How long a partition waits that can't be listened to, until it is asked again.
    private static let deafWait: Duration = .milliseconds(20)
    /// How long a partition isn't asked of which nothing is heard.
    private static let rest: Duration = .milliseconds(500)

    init(_ connection: RedisConnection, keys: Keys, bell: Interrupt?) {
        (self.connection, self.keys, self.bell) = (connection, keys, bell)
        listener = ShardListener(connection)
    }

    /// Reads what there is, or waits for it.
    ///
    /// - Parameters:
    ///   - partitions: Where.
    ///   - wait: How long at most.
    ///   - command: What asks a partition, without waiting.
    /// - Returns: What came, by partition.
    /// - Throws: ``RedisError/interrupted``.
    func read(
        from partitions: [Partition], wait: Duration, _ command: (Partition) -> RedisCommand
    ) throws(RedisError) -> [Delivered] {
        // Before they are asked: what comes afterwards is heard.
        try listener.listen(to: partitions.map(channel))
        hear(listener.wait(until: Deadline(.now), interrupt: nil))
        let asked = wait == .zero ? partitions : due(partitions)
        let delivered = try readNow(asked, command)
        guard delivered.isEmpty, wait > .zero else { return delivered }
        let isDeaf = partitions.contains { !listener.hears(channel($0)) }
        let told = listener.wait(until: .after(isDeaf ? min(wait, Self.deafWait) : wait), interrupt: bell)
        bell?.clear()
        hear(told)
        return try readNow(due(partitions), command)
    }

    /// Those that may have something.
    private func due(_ partitions: [Partition]) -> [Partition] {
        let now = ContinuousClock.now
        if allDue.map({ now >= $0 }) ?? true {
            quiet = []
            allDue = now + Self.rest
        }
        return partitions.filter { !quiet.contains($0) }
    }

    private func readNow(
        _ partitions: [Partition], _ command: (Partition) -> RedisCommand
    ) throws(RedisError) -> [Delivered] {
        for partition in partitions { connection.send(command(partition)) }
        let deadline = Deadline.after(StreamLog.timeout)
        return receive(partitions) { () throws(RedisError) in try connection.receive(until: deadline) }
    }

    /// Begins a read that doesn't wait; others may be made before it is received.
    func send(to partitions: [Partition], _ command: (Partition) -> RedisCommand) throws(RedisError) {
        precondition(underWay.isEmpty, "two reads of shards sent ahead")
        underWay = partitions
        heard = []
        for partition in partitions {
            try connection.sendAhead(command(partition), until: .after(StreamLog.timeout))
        }
    }

    /// Ends it.
    func receive() -> [Delivered] {
        defer { underWay = [] }
        let deadline = Deadline.after(StreamLog.timeout)
        let delivered = receive(underWay) { () throws(RedisError) in try connection.receiveAhead(until: deadline) }
        // It may have been written behind the answer.
        stir(heard)
        return delivered
    }

    private func receive(
        _ partitions: [Partition], _ next: () throws(RedisError) -> RedisReply
    ) -> [Delivered] {
        var delivered: [Delivered] = []
        for partition in partitions {
            do throws(RedisError) {
                let reply = try next()
                if let error = reply.error { throw .reply(error) }
                guard !reply.isNull else {
                    if listener.hears(channel(partition)) { quiet.insert(partition) }
                    continue
                }
                quiet.remove(partition)
                let entries = try reply.requireArray(count: 1)[0].requireArray(count: 2)[1]
                delivered.append(
                    Delivered(partition: partition, count: entries.count) {
                        try translatingRedisErrors { () throws(RedisError) in try entries.entries() }
                    })
            } catch {
                quiet.remove(partition)
                let failure = StoreError(error)
                delivered.append(Delivered(partition: partition, count: 0) { throw failure })
            }
        }
        return delivered
    }

    private func hear(_ channels: Set<String>) {
        heard.formUnion(channels)
        stir(channels)
    }

    private func stir(_ channels: Set<String>) {
        guard !channels.isEmpty else { return }
        quiet.subtract(quiet.filter { channels.contains(channel($0)) })
    }

    /// Where whoever appends says so: the log's own name.
    private func channel(_ partition: Partition) -> String { keys.log(partition) }
}
