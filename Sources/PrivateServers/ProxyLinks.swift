import Glibc

/// The connections of a ``FaultProxy`` and its orders.
///
/// Its sockets never block.
struct ProxyLinks: Sendable {
    /// What waits in the proxy of one direction of one connection, at most.
    private static let bufferBytesMax = 1 << 20
    private static let chunkBytes = 64 * 1024

    var upstream: FaultProxy.Address
    var isRefusing = false
    /// The addresses of clients that are not let in.
    var barred: Set<String> = []
    var delay: Duration = .zero
    var held: Set<FaultProxy.Direction> = []
    var pieceBytes: Int?
    var answerToDrop: [UInt8]?
    var bytesUntilCut: (direction: FaultProxy.Direction, bytes: Int)?
    var isClosed = false
    var counts = FaultProxy.Counts()
    private(set) var links: [Link] = []
    private let listener: Descriptor

    /// A client's connection, and ours to the server for it.
    struct Link: Sendable {
        let client: Descriptor
        let server: Descriptor
        /// The client's address; nil on a unix socket.
        let peer: String?
        var toServer = Flow()
        var toClient = Flow()
        var dropsNextAnswer = false
        var isCut = false

        func source(_ direction: FaultProxy.Direction) -> Descriptor { direction == .toServer ? client : server }
        func target(_ direction: FaultProxy.Direction) -> Descriptor { direction == .toServer ? server : client }

        subscript(direction: FaultProxy.Direction) -> Flow {
            get { direction == .toServer ? toServer : toClient }
            set { if direction == .toServer { toServer = newValue } else { toClient = newValue } }
        }
    }

    /// What is on its way in one direction.
    struct Flow: Sendable {
        var chunks: [(bytes: ArraySlice<UInt8>, due: ContinuousClock.Instant)] = []
        /// Whether the source has ended, and whether the target was told.
        var isEnded = false
        var isFinished = false

        var bytes: Int { chunks.reduce(0) { $0 + $1.bytes.count } }
    }

    init(listener: Descriptor, upstream: FaultProxy.Address) {
        self.listener = listener
        self.upstream = upstream
    }

    // MARK: What to wait for

    /// The sockets to wait on, and how long at most, in milliseconds.
    func polls() -> ([pollfd], Int32) {
        var polls = [pollfd(fd: listener.number, events: Int16(POLLIN), revents: 0)]
        var soonest: ContinuousClock.Instant?
        let now = ContinuousClock.now
        for link in links {
            var events: [FaultProxy.Direction: Int16] = [:]
            for direction in FaultProxy.Direction.allCases where !held.contains(direction) {
                let flow = link[direction]
                if !flow.isEnded, flow.bytes < Self.bufferBytesMax { events[direction, default: 0] |= Int16(POLLIN) }
                guard let first = flow.chunks.first else { continue }
                let back: FaultProxy.Direction = direction == .toServer ? .toClient : .toServer
                if first.due <= now {
                    events[back, default: 0] |= Int16(POLLOUT)
                } else {
                    soonest = min(soonest ?? first.due, first.due)
                }
            }
            // A socket that nothing is wanted of is left out: poll would report its end over and over.
            for (direction, events) in events {
                polls.append(pollfd(fd: link.source(direction).number, events: events, revents: 0))
            }
        }
        guard let soonest else { return (polls, 3_600_000) }
        return (polls, Int32(min(now.duration(to: soonest) / .milliseconds(1) + 1, 3_600_000)))
    }

    // MARK: Carrying

    /// Does all that can be done without waiting.
    mutating func carry() {
        accept()
        for index in links.indices {
            for direction in FaultProxy.Direction.allCases where !held.contains(direction) && !links[index].isCut {
                receive(index, direction)
                if !links[index].isCut { send(index, direction) }
            }
            if links[index].toServer.isFinished && links[index].toClient.isFinished { links[index].isCut = true }
        }
        links.removeAll(where: \.isCut)
    }

    /// Closes all connections.
    @discardableResult
    mutating func cutAll(_ ending: FaultProxy.Ending) -> Int {
        let count = links.count
        for index in links.indices { cut(index, ending) }
        links = []
        return count
    }

    /// Cuts what these clients have, and lets them in no more.
    mutating func bar(_ clients: Set<String>) {
        barred = clients
        for index in links.indices where isBarred(links[index].peer) { cut(index, .reset) }
        links.removeAll(where: \.isCut)
    }

    private func isBarred(_ peer: String?) -> Bool { peer.map(barred.contains) ?? false }

    private mutating func cut(_ index: Int, _ ending: FaultProxy.Ending) {
        for descriptor in [links[index].client, links[index].server] {
            if ending == .reset { descriptor.resetWhenClosed() }
            descriptor.close()
        }
        links[index].isCut = true
        counts.cut += 1
    }

    private mutating func accept() {
        while true {
            let number = Glibc.accept(listener.number, nil, nil)
            guard number >= 0 else { return }
            let client = Descriptor(number)
            client.prepareForProxy()
            let peer = client.peer()
            let isRefused = isRefusing || isBarred(peer)
            guard !isRefused, let server = Descriptor.connecting(to: upstream) else {
                counts.refused += isRefused ? 1 : 0
                client.resetWhenClosed()
                client.close()
                continue
            }
            counts.accepted += 1
            links.append(Link(client: client, server: server, peer: peer))
        }
    }

    private mutating func receive(_ index: Int, _ direction: FaultProxy.Direction) {
        guard !links[index][direction].isEnded, links[index][direction].bytes < Self.bufferBytesMax else { return }
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { buffer, length in
            count = read(links[index].source(direction).number, buffer.baseAddress, buffer.count)
            length = max(0, count)
        }
        if count < 0 {
            if errno != EAGAIN && errno != EINTR && errno != ENOTCONN { cut(index, .reset) }
            return
        }
        guard count > 0 else {
            links[index][direction].isEnded = true
            return
        }
        switch direction {
        case .toServer:
            if let text = answerToDrop, text.isEmpty || bytes.firstRange(of: text) != nil {
                answerToDrop = nil
                links[index].dropsNextAnswer = true
            }
        case .toClient:
            if links[index].dropsNextAnswer {
                counts.answersDropped += 1
                return cut(index, .reset)
            }
        }
        links[index][direction].chunks.append((bytes[...], ContinuousClock.now + delay))
    }

    private mutating func send(_ index: Int, _ direction: FaultProxy.Direction) {
        let now = ContinuousClock.now
        let target = links[index].target(direction)
        while let first = links[index][direction].chunks.first, first.due <= now {
            var most = min(first.bytes.count, pieceBytes ?? .max)
            let limit = bytesUntilCut.flatMap { $0.direction == direction ? $0.bytes : nil }
            if let limit { most = min(most, limit) }
            let sent = first.bytes.withUnsafeBytes {
                Glibc.send(target.number, $0.baseAddress, most, Int32(MSG_NOSIGNAL))
            }
            guard sent >= 0 else {
                if errno != EAGAIN && errno != EINTR && errno != ENOTCONN { cut(index, .reset) }
                return
            }
            if sent == first.bytes.count {
                links[index][direction].chunks.removeFirst()
            } else {
                links[index][direction].chunks[0].bytes.removeFirst(sent)
            }
            if let limit {
                bytesUntilCut?.bytes = limit - sent
                if limit == sent {
                    bytesUntilCut = nil
                    // FIN, not RST: what was sent is to arrive.
                    return cut(index, .close)
                }
            }
            // One piece a turn, so that the reader has the time to see it alone.
            if pieceBytes != nil { return }
        }
        let flow = links[index][direction]
        if flow.isEnded, !flow.isFinished, flow.chunks.isEmpty {
            shutdown(target.number, Int32(SHUT_WR))
            links[index][direction].isFinished = true
        }
    }
}
