package import Connections
import Coordination
package import OrderLog
import RedisClient
import RedisLog
import Sinks
package import ThreadedIO

/// The log as it is, and as it grows, read past all groups: nothing is delivered to anybody, and nothing changes.
///
/// What the log no longer holds comes from the ledger. After the log was opened anew, entries that were put back come again,
/// under the new epoch. For a lane, whose thread it blocks.
package final class LogFeed {
    /// Where it begins, in each partition.
    package enum Start: Hashable, Sendable {
        case beginning
        /// With what is appended from now on.
        case now
        case seq(Seq)
    }

    /// An entry.
    package struct Item: Sendable {
        package let partition: Partition
        package let place: Place
        package let entry: EntryID
        package let content: Entry.Content
    }

    private struct Reader {
        let partition: Partition
        /// nil while it is followed.
        let end: Seq?
        /// What is wanted next, if the log was not opened anew meanwhile.
        var next: Seq
        /// The last one that was given.
        var last: Place?
        /// The log is read from here on.
        var cursor: EntryID
        var page: ArraySlice<Entry> = []
        var past: ArraySlice<Item> = []
        /// Nothing more is there for now.
        var isAtEnd = false
        /// To be given when it is the oldest of all.
        var waiting: Item?

        func isNew(_ place: Place) -> Bool {
            guard let last else { return place.seq >= next }
            return (place.epoch, place.seq) > (last.epoch, last.seq)
        }
    }

    /// Entries that are read ahead, of all partitions together, and of one at least.
    private static let ahead = (all: 10_000, least: 20)
    private static let ledgerEntries = 1000
    /// Entries beside each other among which somebody may have added some by hand.
    private static let probeEntries = 10

    private let servers: Servers
    private let start: Start
    private let follows: Bool
    private let only: Partition?
    private let interrupt: Interrupt
    private let notice: (String) -> Void
    private var identity: LogIdentity?
    private var readers: [Reader] = []
    private var connected: StreamLog?
    private var ledger: PostgresSink?

    /// - Parameters:
    ///   - servers: Where the log is.
    ///   - start: Where to begin.
    ///   - follows: Whether it goes on with what comes after it was begun.
    ///   - only: A partition; nil for all.
    ///   - interrupt: Ends every wait.
    ///   - notice: Takes a line for people: entries that are nowhere any more.
    package init(
        _ servers: Servers, from start: Start, follows: Bool, only: Partition?, interrupt: Interrupt,
        notice: @escaping (String) -> Void
    ) {
        self.servers = servers
        self.start = start
        self.follows = follows
        self.only = only
        self.interrupt = interrupt
        self.notice = notice
    }

    /// Forgets its connections, after an error; what was given is not given again.
    package func disconnect() { (connected, ledger) = (nil, nil) }

    /// The next entry: of those that are there, in all partitions, the oldest.
    ///
    /// - Returns: nil when there is none.
    /// - Throws: ``LogError`` when the log is missing or another, or the ledger is needed and can't be asked; the servers' errors.
    package func next() async throws -> Item? {
        let log = try await log()
        for index in readers.indices where readers[index].waiting == nil && !readers[index].isAtEnd {
            readers[index].waiting = try await item(of: index, log)
        }
        var oldest: (index: Int, entry: EntryID)?
        for index in readers.indices {
            guard let entry = readers[index].waiting?.entry, oldest.map({ entry < $0.entry }) ?? true else { continue }
            oldest = (index, entry)
        }
        guard let index = oldest?.index else { return nil }
        defer { readers[index].waiting = nil }
        return readers[index].waiting
    }

    /// Waits for the next entry, after ``next()`` had none.
    ///
    /// - Parameter limit: How long.
    /// - Throws: The server's errors.
    package func wait(upTo limit: Duration) async throws {
        defer { for index in readers.indices { readers[index].isAtEnd = false } }
        guard try await !log().connection.isCluster else {
            // Streams of several slots can't be waited for in one command.
            return try await Task.sleep(for: min(limit, Self.clusterPause))
        }
        var command = RedisCommand("XREAD", "COUNT", 1, "BLOCK", max(1, Int(limit / .milliseconds(1))))
        command.append("STREAMS")
        command.append(contentsOf: readers.map { servers.keys.log($0.partition) })
        command.append(contentsOf: readers.map { ($0.cursor.predecessor ?? .zero).description })
        let reply = try await log().connection.call(command, until: .after(limit + StreamLog.timeout))
        if let error = reply.error { throw RedisError.reply(error) }
    }

    private static let clusterPause: Duration = .milliseconds(50)

    // MARK: - One partition

    private func item(of index: Int, _ log: StreamLog) async throws -> Item? {
        while true {
            if let item = readers[index].past.popFirst() { return give(item, index) }
            guard let entry = readers[index].page.first else {
                guard try await readPage(index, log) else {
                    readers[index].isAtEnd = true
                    return nil
                }
                continue
            }
            let reader = readers[index]
            guard let place = entry.place, reader.isNew(place) else {
                readers[index].page.removeFirst()
                continue
            }
            if place.seq > reader.next {
                let past = try await fromLedger(reader.partition, from: reader.next, before: place.seq)
                if !past.isEmpty {
                    readers[index].past = past[...]
                    continue
                }
            }
            readers[index].page.removeFirst()
            return give(
                Item(partition: reader.partition, place: place, entry: entry.id, content: entry.content), index)
        }
    }

    /// false when there is nothing.
    private func readPage(_ index: Int, _ log: StreamLog) async throws -> Bool {
        let partition = readers[index].partition
        let limit = max(Self.ahead.least, Self.ahead.all / max(1, readers.count))
        let entries = try await log.range(in: partition, from: readers[index].cursor, limit: limit)
        guard let last = entries.last else { return false }
        // What the head has not given was added by hand.
        let head = try await log.look(at: partition).head?.seq ?? Seq.none
        readers[index].cursor = last.id.successor
        readers[index].page = entries.filter { ($0.place?.seq ?? Seq.none) <= head }[...]
        return true
    }

    private func give(_ item: Item, _ index: Int) -> Item? {
        let reader = readers[index]
        if let end = reader.end, item.place.seq > end {
            (readers[index].page, readers[index].past) = ([], [])
            readers[index].isAtEnd = true
            return nil
        }
        if item.place.seq > reader.next {
            notice(
                "partition \(reader.partition): neither the log nor the ledger has seq \(reader.next) to \(item.place.seq.previous)"
            )
        }
        readers[index].last = item.place
        readers[index].next = item.place.seq.next
        return item
    }

    private func fromLedger(_ partition: Partition, from seq: Seq, before end: Seq) async throws -> [Item] {
        if ledger == nil { ledger = try servers.postgres(interrupt: interrupt).map(PostgresSink.init) }
        guard let ledger else {
            throw LogError(
                .badConfiguration,
                "partition \(partition): seq \(seq) to \(end.previous) are no longer in the log, and the ledger, which has them, can't be "
                    + "asked: no Postgres is configured. Say DATABASE_URL, or --from \(end)")
        }
        let rows = try await ledger.entries(in: partition, after: seq.previous, limit: Self.ledgerEntries)
            .filter { $0.seq < end }
        return rows.compactMap { row in
            row.location.map {
                Item(
                    partition: partition, place: $0.place, entry: $0.entry,
                    content: row.entry(in: $0.place.epoch).content)
            }
        }
    }

    // MARK: - Beginning

    private func log() async throws -> StreamLog {
        if let connected { return connected }
        let redis = try servers.redis(interrupt: interrupt)
        let found = try servers.identity(redis)
        if let identity, identity != found {
            throw LogError(.badConfiguration, "the log is another one now (\(found.log)) than before (\(identity.log))")
        }
        let log = StreamLog(redis, keys: servers.keys, group: .postgres, consumer: .opener)
        if identity == nil {
            if let only, only.number >= found.partitioning.count {
                throw LogError(.no, "there is no partition \(only): the log has \(found.partitioning.count)")
            }
            var readers: [Reader] = []
            for partition in only.map({ [$0] }) ?? Array(found.partitioning.all) {
                readers.append(try await reader(partition, log))
            }
            (self.readers, identity) = (readers, found)
        }
        connected = log
        return log
    }

    private func reader(_ partition: Partition, _ log: StreamLog) async throws -> Reader {
        let head = try await log.look(at: partition).head
        let given = head?.seq ?? Seq.none
        let end = follows ? nil : given
        switch start {
        case .beginning: return Reader(partition: partition, end: end, next: Seq(1), last: nil, cursor: .zero)
        case .seq(let seq):
            return Reader(
                partition: partition, end: end, next: seq, last: nil, cursor: try await place(of: seq, partition))
        case .now:
            let last = try await log.lastEntries(in: partition, through: nil, limit: Self.probeEntries)
            let entry = last.first { $0.place.map { $0.seq <= given } ?? false }
            return Reader(
                partition: partition, end: end, next: given.next, last: head?.place,
                cursor: entry?.id.successor ?? .zero)
        }
    }

    /// Where to read a seq, as far as the ledger knows; else from the log's beginning.
    private func place(of seq: Seq, _ partition: Partition) async throws -> EntryID {
        do {
            if ledger == nil { ledger = try servers.postgres(interrupt: interrupt).map(PostgresSink.init) }
            return try await ledger?.locations(in: partition, at: [seq])[seq]?.entry ?? .zero
        } catch {
            guard StoreError(anyOf: error) != nil, !interrupt.isSignalled else { throw error }
            ledger = nil
            return .zero
        }
    }
}
