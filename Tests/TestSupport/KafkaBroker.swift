import Foundation
import PrivateServers
import Synchronization
import Testing

/// A broker that speaks Kafka's protocol, transactions too: `tansu`, in memory, of the path in `ONEWRITE_TEST_KAFKA`.
///
/// Clients reach it through a proxy that cuts connections when told to, and that answers a client's question for API versions
/// by "ask for an older answer": librdkafka before 2.1 can't read what this broker adds to the newest one.
package final class KafkaBroker: Sendable {
    /// Whether there is one: `scripts/test` brings it.
    package static var isThere: Bool { program != nil }
    private static var program: String? {
        ProcessInfo.processInfo.environment["ONEWRITE_TEST_KAFKA"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// What the proxy does to clients.
    private struct Links {
        var open: Set<Int32> = []
        var isDown = false
        /// How many times connections were cut, or refused.
        var cuts = 0
    }

    private let broker: ChildProcess
    private let listener: Int32
    private let brokerPort: UInt16
    private let port: UInt16
    private let links = Mutex(Links())
    private let positions = Mutex<[PositionAnswer]>([])

    /// Where clients find it.
    package var address: String { "127.0.0.1:\(port)" }

    /// Starts one.
    package init() async throws {
        let listener = Self.listen()
        self.listener = listener
        port = Self.port(of: listener)
        // Nobody else is likely to take it in between.
        let reserved = Self.listen()
        brokerPort = Self.port(of: reserved)
        close(reserved)
        broker = try await ChildProcess.spawn(
            [
                Self.program ?? "tansu", "broker", "--listener-url", "tcp://127.0.0.1:\(brokerPort)",
                "--advertised-listener-url", "tcp://127.0.0.1:\(port)", "--storage-engine", "memory://tansu/",
            ], output: .discarded, errors: .discarded)
        let backend = brokerPort
        try await eventually("the broker listens") {
            guard let socket = Self.connect(to: backend) else { return false }
            close(socket)
            return true
        }
        Thread.detachNewThread { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0, let self else { return }
                self.serve(client)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        for socket in links.withLock({ $0.open }) { shutdown(socket, Int32(SHUT_RDWR)) }
    }

    /// Makes a topic.
    package func createTopic(_ name: String, partitions: Int) async throws {
        let made = try await ChildProcess.run(
            [
                Self.program ?? "tansu", "topic", "create", "--broker", "tcp://127.0.0.1:\(brokerPort)", "--partitions",
                "\(partitions)", name,
            ])
        guard made.status == .exited(0) else { throw ProtocolError(what: made.errors) }
    }

    /// Cuts every connection, in the middle of whatever is on its way.
    package func cut() {
        let open = links.withLock { links in
            links.cuts += 1
            return links.open
        }
        for socket in open { shutdown(socket, Int32(SHUT_RDWR)) }
    }

    /// Lets nobody in, or everybody again.
    package func setDown(_ isDown: Bool) {
        links.withLock { $0.isDown = isDown }
        if isDown { cut() }
    }

    /// Stops the broker's process, and lets it go on.
    package func send(_ signal: Int32) { broker.send(signal) }

    // MARK: - The proxy

    /// Carries frames between a client and the broker.
    ///
    /// When the client goes, what it had sent is answered first: this broker leaves a transaction half ended when the connection
    /// breaks that asked it to end it.
    private func serve(_ client: Int32) {
        guard !links.withLock({ $0.isDown }), let server = Self.connect(to: brokerPort) else {
            close(client)
            return
        }
        links.withLock { _ = $0.open.insert(client) }
        let link = Link()
        let end = { @Sendable [weak self] in
            guard link.ends.add(1, ordering: .acquiringAndReleasing).newValue == 2 else { return }
            self?.links.withLock { _ = $0.open.remove(client) }
            close(client)
            close(server)
        }
        Thread.detachNewThread {
            while let frame = Self.frame(from: client) {
                // ApiVersions (18) of version 3 or later: UNSUPPORTED_VERSION (35), in the form of version 0.
                if frame.count >= 8, frame[0] == 0, frame[1] == 18, frame[3] >= 3 {
                    let answer = Array(frame[4..<8]) + [0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 2]
                    if !Self.send(answer, to: client) { break }
                } else {
                    if let group = Self.groupAsked(frame) {
                        let number = Array(frame[4..<8])
                        link.asked.withLock { $0[number] = (group, Self.milliseconds) }
                    }
                    link.sent.add(1, ordering: .relaxed)
                    if !Self.send(frame, to: server) { break }
                }
            }
            let deadline = ContinuousClock.now + .seconds(10)
            while link.answered.load(ordering: .relaxed) < link.sent.load(ordering: .relaxed), .now < deadline {
                Thread.sleep(forTimeInterval: 0.002)
            }
            shutdown(server, Int32(SHUT_RDWR))
            end()
        }
        Thread.detachNewThread { [weak self] in
            while let frame = Self.frame(from: server) {
                if let asked = link.asked.withLock({ $0.removeValue(forKey: Array(frame.prefix(4))) }),
                    let offset = Self.offsetTold(frame)
                {
                    let answer = PositionAnswer(group: asked.group, offset: offset, askedAt: asked.at)
                    self?.positions.withLock { $0.append(answer) }
                }
                _ = Self.send(frame, to: client)
                link.answered.add(1, ordering: .relaxed)
            }
            shutdown(client, Int32(SHUT_RDWR))
            end()
        }
    }

    /// What the broker said of a consumer group's offset.
    private struct PositionAnswer {
        let group: String
        let offset: Int64
        /// Milliseconds since 1970.
        let askedAt: Int64
    }

    /// Whether the broker, asked for a group's offset after it had committed a transaction with a higher one, told a lower one.
    ///
    /// It does so when a transaction is ended while its producer is fenced: the messages are committed, and the offset is lost.
    ///
    /// - Parameters:
    ///   - group: The consumer group.
    ///   - offset: What the transaction had, or less.
    ///   - moment: When its control record was written.
    /// - Returns: Whether it did.
    package func forgot(_ group: String, offset: Int, committedAt moment: Int64) -> Bool {
        positions.withLock { $0.contains { $0.group == group && $0.askedAt > moment && $0.offset < offset } }
    }

    /// The group of an OffsetFetch (9), version 6 or later; nil for any other request.
    private static func groupAsked(_ frame: [UInt8]) -> String? {
        guard frame.count > 10, frame[0] == 0, frame[1] == 9, frame[3] >= 6 else { return nil }
        var reader = Reader(bytes: frame, at: 8)
        do {
            // The client's name, no tags; a compact string.
            _ = try reader.skip(Int(try reader.number() as Int16) + 1)
            return String(decoding: try reader.skip(try reader.unsignedVarint() - 1), as: UTF8.self)
        } catch { return nil }
    }

    /// The first offset of the answer to such a request.
    private static func offsetTold(_ frame: [UInt8]) -> Int64? {
        var reader = Reader(bytes: frame, at: 4)
        do {
            // No tags, throttling, one topic by its name, one partition by its number.
            _ = try reader.skip(1 + 4)
            _ = try reader.unsignedVarint()
            _ = try reader.skip(try reader.unsignedVarint() - 1)
            _ = try reader.unsignedVarint()
            _ = try reader.skip(4)
            return try reader.number()
        } catch { return nil }
    }

    private static var milliseconds: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

    /// What both directions of a link know.
    private final class Link: Sendable {
        /// The groups whose offsets are asked for, by the requests' numbers.
        let asked = Mutex<[[UInt8]: (group: String, at: Int64)]>([:])
        let sent = Atomic(0)
        let answered = Atomic(0)
        let ends = Atomic(0)
    }

    private static func frame(from socket: Int32) -> [UInt8]? {
        guard let head = bytes(4, from: socket) else { return nil }
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        return length <= 64 << 20 ? bytes(length, from: socket) : nil
    }

    private static func bytes(_ count: Int, from socket: Int32) -> [UInt8]? {
        var all = [UInt8](repeating: 0, count: count)
        var at = 0
        while at < count {
            let got = all.withUnsafeMutableBytes { read(socket, $0.baseAddress?.advanced(by: at), count - at) }
            guard got > 0 else { return nil }
            at += got
        }
        return all
    }

    private static func send(_ frame: [UInt8], to socket: Int32) -> Bool {
        let all = withUnsafeBytes(of: UInt32(frame.count).bigEndian) { Array($0) } + frame
        var at = 0
        while at < all.count {
            let sent = all.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress?.advanced(by: at), all.count - at, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            at += sent
        }
        return true
    }

    private static func listen() -> Int32 {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        withAddress(0) { precondition(bind(listener, $0, $1) == 0 && Glibc.listen(listener, 64) == 0) }
        return listener
    }

    private static func port(of socket: Int32) -> UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func connect(to port: UInt16) -> Int32? {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var isConnected = false
        withAddress(port) { isConnected = Glibc.connect(socket, $0, $1) == 0 }
        if isConnected { return socket }
        close(socket)
        return nil
    }

    private static func withAddress(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Void) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    // MARK: - The log as it is

    /// A record, whether or not its transaction was committed.
    package struct Record: Sendable {
        package let key: String
        package let value: String
        package let isCommitted: Bool
        /// When its transaction's control record was written, by the broker's clock, in milliseconds since 1970.
        package let committedAt: Int64?
        /// Its offset, the producer's ID and epoch, and the offset of the control record that ended its transaction: for failures.
        package let trace: String
    }

    package struct ProtocolError: Error { let what: String }

    /// Reads a partition with its control records, and decides by them: this broker shows aborted records to whoever reads
    /// committed ones only.
    ///
    /// <https://kafka.apache.org/documentation/#recordbatch>
    package func records(of topic: String, partition: Int) throws -> [Record] {
        guard let socket = Self.connect(to: brokerPort) else { throw ProtocolError(what: "no connection") }
        defer { close(socket) }
        var records: [Record] = []
        // Of transactions that are open, by producer: where their records are.
        var open: [Int64: [Int]] = [:]
        var offset: Int64 = 0
        while true {
            var reader = Reader(bytes: try Self.fetch(topic, partition, from: offset, by: socket))
            var isOver = true
            while let batch = try reader.batch() {
                let end = batch.base + Int64(batch.lastDelta) + 1
                guard end > offset else { continue }
                (offset, isOver) = (end, false)
                if batch.isControl {
                    let isCommit = batch.records.first?.key.last == 1
                    for index in open.removeValue(forKey: batch.producer) ?? [] where isCommit {
                        records[index] = Record(
                            key: records[index].key, value: records[index].value, isCommitted: true,
                            committedAt: batch.timestamp,
                            trace: "\(records[index].trace) commit \(batch.base) epoch \(batch.epoch)")
                    }
                    continue
                }
                for record in batch.records {
                    if batch.isTransactional { open[batch.producer, default: []].append(records.count) }
                    records.append(
                        Record(
                            key: String(decoding: record.key, as: UTF8.self),
                            value: String(decoding: record.value, as: UTF8.self), isCommitted: !batch.isTransactional,
                            committedAt: nil,
                            trace: "offset \(batch.base) producer \(batch.producer) epoch \(batch.epoch)"))
                }
            }
            if isOver { return records }
        }
    }

    /// The record batches of one Fetch, version 4, that reads what isn't committed, too.
    private static func fetch(_ topic: String, _ partition: Int, from offset: Int64, by socket: Int32) throws -> [UInt8]
    {
        var request: [UInt8] = []
        func add<Number: FixedWidthInteger>(_ number: Number) {
            withUnsafeBytes(of: number.bigEndian) { request += Array($0) }
        }
        add(Int16(1))
        add(Int16(4))
        add(Int32(7))
        add(Int16(0))
        for number in [-1, 10, 0, 1 << 24] as [Int32] { add(number) }
        add(Int8(0))
        add(Int32(1))
        add(Int16(topic.utf8.count))
        request += Array(topic.utf8)
        add(Int32(1))
        add(Int32(partition))
        add(offset)
        add(Int32(1 << 24))
        guard send(request, to: socket), let answer = frame(from: socket) else {
            throw ProtocolError(what: "no answer")
        }
        var reader = Reader(bytes: answer)
        // Correlation, throttling, one topic by its name, one partition.
        _ = try reader.skip(4 + 4 + 4)
        _ = try reader.skip(Int(try reader.number() as Int16) + 4 + 4)
        let error: Int16 = try reader.number()
        guard error == 0 else { throw ProtocolError(what: "error \(error)") }
        _ = try reader.skip(8 + 8)
        _ = try reader.skip(max(0, Int(try reader.number() as Int32)) * 16)
        return Array(try reader.skip(max(0, Int(try reader.number() as Int32))))
    }

    private struct Batch {
        let base: Int64
        let lastDelta: Int32
        let isTransactional: Bool
        let isControl: Bool
        let producer: Int64
        let epoch: Int16
        let timestamp: Int64
        let records: [(key: [UInt8], value: [UInt8])]
    }

    private struct Reader {
        let bytes: [UInt8]
        var at = 0

        init(bytes: [UInt8], at: Int = 0) {
            self.bytes = bytes
            self.at = at
        }

        mutating func unsignedVarint() throws -> Int {
            var (value, shift) = (0, 0)
            while true {
                let byte = try number() as UInt8
                value |= Int(byte & 127) << shift
                shift += 7
                if byte < 128 { return value }
            }
        }

        mutating func skip(_ count: Int) throws -> ArraySlice<UInt8> {
            guard count >= 0, at + count <= bytes.count else { throw ProtocolError(what: "it is cut") }
            defer { at += count }
            return bytes[at..<at + count]
        }

        mutating func number<Number: FixedWidthInteger>() throws -> Number {
            try skip(MemoryLayout<Number>.size).reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
        }

        mutating func varint() throws -> Int {
            var (value, shift) = (UInt64(0), UInt64(0))
            while true {
                let byte = try number() as UInt8
                value |= UInt64(byte & 127) << shift
                shift += 7
                if byte < 128 { return Int(value >> 1) ^ -Int(value & 1) }
            }
        }

        /// The next whole batch.
        mutating func batch() throws -> Batch? {
            guard bytes.count - at >= 61 else { return nil }
            let base: Int64 = try number()
            let length: Int32 = try number()
            guard at + Int(length) <= bytes.count else { return nil }
            let end = at + Int(length)
            _ = try skip(4 + 1 + 4)
            let attributes: Int16 = try number()
            let lastDelta: Int32 = try number()
            let timestamp: Int64 = try number()
            _ = try skip(8)
            let producer: Int64 = try number()
            let epoch: Int16 = try number()
            _ = try skip(4)
            let count: Int32 = try number()
            var records: [(key: [UInt8], value: [UInt8])] = []
            for _ in 0..<count {
                let next = try varint()
                let stop = at + next
                _ = try skip(1)
                _ = try varint()
                _ = try varint()
                let key = Array(try skip(max(0, try varint())))
                let value = Array(try skip(max(0, try varint())))
                records.append((key, value))
                at = stop
            }
            at = end
            return Batch(
                base: base, lastDelta: lastDelta, isTransactional: attributes & 16 != 0,
                isControl: attributes & 32 != 0,
                producer: producer, epoch: epoch, timestamp: timestamp, records: records)
        }
    }
}
