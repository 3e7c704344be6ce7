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
    /// Partitions that had nothing when they were last asked, and of which nothing was heard since.
    private var quiet: Set<Partition> = []

    /// How long a partition waits that can't be listened to, until it is asked again.
    private static let deafWait: Duration = .milliseconds(20)

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
        hear(listener.wait(until: Deadline(.now), interrupt: nil), partitions)
        let asked = wait == .zero ? partitions : partitions.filter { !quiet.contains($0) }
        let delivered = try readNow(asked, command)
        guard delivered.isEmpty, wait > .zero else { return delivered }
        let isDeaf = partitions.contains { !listener.hears(channel($0)) }
        let told = listener.wait(until: .after(isDeaf ? min(wait, Self.deafWait) : wait), interrupt: bell)
        bell?.clear()
        hear(told, partitions)
        // Whoever heard nothing for so long asks all: a message can be lost, and not everybody who writes says so.
        if told.isEmpty { quiet = [] }
        return try readNow(partitions.filter { !quiet.contains($0) }, command)
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
        for partition in partitions {
            try connection.sendAhead(command(partition), until: .after(StreamLog.timeout))
        }
    }

    /// Ends it.
    func receive() -> [Delivered] {
        defer { underWay = [] }
        let deadline = Deadline.after(StreamLog.timeout)
        return receive(underWay) { () throws(RedisError) in try connection.receiveAhead(until: deadline) }
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

    private func hear(_ channels: Set<String>, _ partitions: [Partition]) {
        guard !channels.isEmpty else { return }
        quiet.subtract(partitions.filter { channels.contains(channel($0)) })
    }

    /// Where whoever appends says so: the log's own name.
    private func channel(_ partition: Partition) -> String { keys.log(partition) }
}
