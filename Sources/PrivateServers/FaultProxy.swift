import CThreadedIO
import Glibc
import Synchronization
import ThreadedIO

/// A proxy on the loopback interface, or on a unix socket, that does to connections what networks do.
///
/// Its own address stays the same while the server behind it may be switched, as an address that fails over does. It
/// knows nothing of what it carries. All connections share one thread; what is asked of it holds when the call returns.
/// The connections are cut, and the address is gone, when it is let go of.
package final class FaultProxy: Sendable {
    /// Where somebody listens.
    package enum Address: Sendable, Hashable {
        /// A port of 127.0.0.1; 0 for one that is free.
        case loopback(port: Int)
        /// A socket's path.
        case unix(path: String)
    }

    /// Which way bytes go.
    package enum Direction: Sendable, Hashable, CaseIterable {
        case toServer, toClient
    }

    /// What happened so far.
    package struct Counts: Sendable, Equatable {
        /// Connections that were taken.
        package var accepted = 0
        /// Connections that were reset at once, by ``FaultProxy/setRefusing(_:)`` or ``FaultProxy/bar(_:)``.
        package var refused = 0
        /// Connections that were cut, for whatever reason.
        package var cut = 0
        /// Answers that the server gave and the client never got.
        package var answersDropped = 0
    }

    /// Where clients find it.
    package let address: Address

    private let state: ProxyState

    /// Listens, and forwards from now on.
    ///
    /// - Parameters:
    ///   - upstream: The server; nobody needs to listen there yet.
    ///   - address: Where to listen.
    /// - Returns: The proxy, listening.
    /// - Throws: ``ServerError/refused(operation:reason:)`` when the address is taken.
    package static func start(
        to upstream: Address, listeningOn address: Address = .loopback(port: 0)
    ) throws(ServerError) -> FaultProxy {
        let listener = try Descriptor.listening(at: address)
        let own: Address = if case .loopback = address { .loopback(port: try listener.port()) } else { address }
        let proxy = FaultProxy(own, ProxyState(listener: listener, upstream: upstream))
        let state = proxy.state
        let lane = BlockingLane(name: "proxy")
        Task { await lane.run { state.forward() } }
        return proxy
    }

    private init(_ address: Address, _ state: ProxyState) {
        self.address = address
        self.state = state
    }

    deinit {
        state.change { $0.isClosed = true }
        if case .unix(let path) = address { unlink(path) }
    }

    /// The port it listens on; 0 on a unix socket.
    package var port: Int { if case .loopback(let port) = address { port } else { 0 } }

    /// What happened so far.
    package var counts: Counts { state.change { $0.counts } }

    /// How many connections there are at this moment.
    package var connections: Int { state.change { $0.links.count } }

    // MARK: What it does to connections

    /// Switches to another server: for new connections, while those there are stay with the old one.
    ///
    /// An address that fails over is `setUpstream(_:)` and ``cut(_:)``.
    package func setUpstream(_ upstream: Address) {
        state.change { $0.upstream = upstream }
    }

    /// How a connection ends.
    package enum Ending: Sendable {
        /// As of a machine that was killed: RST.
        case reset
        /// As of a process that ended: FIN.
        case close
    }

    /// Cuts all connections at once, on both sides; what was under way is lost.
    ///
    /// - Returns: How many there were.
    @discardableResult
    package func cut(_ ending: Ending = .reset) -> Int {
        state.change { $0.cutAll(ending) }
    }

    /// Resets every new connection at once, or no longer; those there are stay.
    package func setRefusing(_ isRefusing: Bool) {
        state.change { $0.isRefusing = isRefusing }
    }

    /// Cuts what these clients have, and resets what they begin at once: who comes from these addresses, such as `127.0.0.2`.
    ///
    /// Others are served as ever. An empty set lets everybody in again.
    package func bar(_ clients: Set<String>) {
        state.change { $0.bar(clients) }
    }

    /// Carries what comes from now on this much later, either way; `.zero` for at once.
    package func setDelay(_ delay: Duration) {
        state.change { $0.delay = delay }
    }

    /// Carries nothing any more in these directions, while connections stay up: half open with one, dead with both.
    ///
    /// What comes meanwhile waits, and is carried by `hold([])`.
    package func hold(_ directions: Set<Direction>) {
        state.change { $0.held = directions }
    }

    /// Carries everything in writes of at most this many bytes; nil for as it comes.
    package func setPieces(ofBytes bytes: Int?) {
        precondition(bytes ?? 1 > 0, "a piece has at least one byte")
        state.change { $0.pieceBytes = bytes }
    }

    /// Forwards the next request and, when the server answers it, cuts that connection instead of carrying the answer.
    ///
    /// - Parameter text: What the request holds, in one read of the proxy's; any request holds the empty text.
    package func dropAnswer(toRequestHolding text: String = "") {
        state.change { $0.answerToDrop = Array(text.utf8) }
    }

    /// Whether ``dropAnswer(toRequestHolding:)`` still waits for its request.
    package var awaitsRequest: Bool { state.change { $0.answerToDrop != nil } }

    /// Cuts the connection that carries the last of this many further bytes of a direction, counted over all
    /// connections: in the middle of whatever that is.
    package func cut(afterBytes bytes: Int, _ direction: Direction) {
        state.change { $0.bytesUntilCut = (direction, bytes) }
    }

    /// Ends everything that was asked for, but for whom it bars: it refuses, holds, delays, splits and drops nothing any more.
    package func heal() {
        state.change { state in
            state.isRefusing = false
            state.delay = .zero
            state.held = []
            state.pieceBytes = nil
            state.answerToDrop = nil
            state.bytesUntilCut = nil
        }
    }
}

/// The proxy's connections and what is asked of it, shared by its thread and its callers.
final class ProxyState: Sendable {
    private let wake: Descriptor
    private let inside: Mutex<ProxyLinks>

    init(listener: Descriptor, upstream: FaultProxy.Address) {
        let number = onewrite_eventfd()
        precondition(number >= 0, "no file descriptor left for an eventfd (errno \(errno))")
        wake = Descriptor(number)
        inside = Mutex(ProxyLinks(listener: listener, upstream: upstream))
    }

    /// Changes or reads something, and has the thread look at it.
    func change<Result: Sendable>(_ body: (inout ProxyLinks) -> sending Result) -> Result {
        defer {
            var one: UInt64 = 1
            _ = write(wake.number, &one, MemoryLayout<UInt64>.size)
        }
        return inside.withLock { body(&$0) }
    }

    /// The thread's work: waits without the lock, and carries with it.
    func forward() {
        while true {
            let (polls, milliseconds) = inside.withLock { $0.polls() }
            var waits = [pollfd(fd: wake.number, events: Int16(POLLIN), revents: 0)] + polls
            guard Glibc.poll(&waits, nfds_t(waits.count), milliseconds) >= 0 || errno == EINTR else { return }
            var count: UInt64 = 0
            _ = read(wake.number, &count, MemoryLayout<UInt64>.size)
            let isClosed = inside.withLock { links in
                if links.isClosed { links.cutAll(.reset) } else { links.carry() }
                return links.isClosed
            }
            if isClosed { return }
        }
    }
}
