import CHiredis
import CReplyArena
import Faults
import Glibc
import ThreadedIO

/// A context of hiredis, which is a non-blocking socket, a write buffer and a parser.
///
/// It never waits. The only place that holds the C pointer; the context is freed, and its socket closed, with this object.
/// After a failure nothing more can be done with it.
final class HiredisContext {
    /// Why hiredis gave up.
    enum Failure: Error {
        /// The socket failed or was closed, or memory ran out.
        case lost(String)
        /// What came is not RESP2, or nested deeper than hiredis reads.
        case malformed(String)
        /// There can be no TLS as it was asked for: whom to trust, and as whom to come, has to change.
        case refused(String)

        var reason: String {
            switch self {
            case .lost(let reason), .malformed(let reason), .refused(let reason): reason
            }
        }
    }

    private let context: UnsafeMutablePointer<redisContext>
    /// What the bytes go through on their way; nil for none.
    private(set) var channel: TLSChannel?

    /// hiredis's words for an end without a reason.
    static let hungUp = "Server closed the connection"

    /// Whether the other side has closed or reset the connection.
    static func isHangUp(_ reason: String) -> Bool { reason == hungUp || reason == text(of: ECONNRESET) }

    /// Redis' own bound for one string (`proto-max-bulk-len`).
    private static let unparsedBytesMax = 512 << 20

    /// Starts connecting: the socket becomes writable when it is done, and ``connectError`` tells how it went.
    ///
    /// Looking up a host's name blocks in getaddrinfo(3), under the resolver's own time-out.
    init(connectingTo endpoint: RedisConfiguration.Endpoint) throws(Failure) {
        let started =
            switch endpoint {
            case .tcp(let host, let port): redisConnectNonBlock(host, Int32(port))
            case .unix(let path): redisConnectUnixNonBlock(path)
            case .master, .cluster: preconditionFailure("the server's own place was not asked for")
            }
        guard let started else { throw .lost("out of memory") }
        guard started.pointee.err == 0 else {
            let reason = String(cString: onewrite_redis_error_text(started))
            redisFree(started)
            throw .lost(reason)
        }
        context = started
        onewrite_redis_use_arena(context)
        // A batch of entries fits; a larger buffer is given back once it is empty.
        onewrite_redis_keep_input(context, 1 << 20)
        Faults.register(descriptor)
    }

    deinit {
        Faults.unregister(descriptor)
        redisFree(context)
    }

    var descriptor: Int32 { context.pointee.fd }

    /// Why the connecting failed, nil when it went well; asked once, when the socket is writable.
    var connectError: String? {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0 else { return Self.text(of: errno) }
        return code == 0 ? nil : Self.text(of: code)
    }

    /// Notices a peer that vanished: probes after 15 s of silence.
    func keepAlive() throws(Failure) {
        guard redisEnableKeepAlive(context) == REDIS_OK else { throw failure }
    }

    /// Appends a command to the write buffer.
    func append(_ command: RedisCommand) throws(Failure) {
        let result = command.words.withArgv { argv, lengths in
            redisAppendCommandArgv(context, Int32(argv.count), argv.baseAddress, lengths)
        }
        guard result == REDIS_OK else { throw failure }
    }

    /// How many bytes wait to be written.
    var unwrittenBytes: Int { onewrite_redis_output_length(context) - (channel?.bytesWritten ?? 0) }

    /// Begins TLS on the connected socket: ``shakeHands()`` next.
    ///
    /// - Parameters:
    ///   - settings: Whom to trust, and as whom to come.
    ///   - host: What was connected to.
    /// - Throws: ``Failure/refused(_:)``, for files that can't be used.
    func beginTLS(_ settings: RedisTLS, with host: String) throws(Failure) {
        do throws(TLSTrouble) {
            channel = TLSChannel(try TLSSession(settings, with: host, on: descriptor))
        } catch {
            throw .refused(error.reason)
        }
    }

    /// Goes on with TLS's handshake.
    ///
    /// - Returns: What has to be waited for; nil when it is done.
    func shakeHands() throws(Failure) -> Interest? {
        guard let channel else { return nil }
        return try channel.shakeHands()
    }

    /// What the socket has to be waited for, so that what is asked for can go on; nil when it can already.
    func wait(for interest: Interest) -> Interest? {
        guard let channel else { return interest }
        return channel.wait(for: interest)
    }

    /// Writes what the socket takes.
    ///
    /// - Returns: Whether everything is written.
    func write() throws(Failure) -> Bool {
        if let channel { return try channel.write(from: context) }
        var isDone: Int32 = 0
        guard redisBufferWrite(context, &isDone) == REDIS_OK else { throw lastWords.map { .lost($0) } ?? failure }
        return isDone != 0
    }

    /// Reads what the socket has, up to 16 KiB, with TLS 64.
    func read() throws(Failure) {
        if let channel {
            try channel.read(into: context)
        } else if redisBufferRead(context) != REDIS_OK {
            throw failure
        }
        guard onewrite_redis_input_length(context) <= Self.unparsedBytesMax else {
            throw .malformed("a reply of more than \(Self.unparsedBytesMax >> 20) MiB")
        }
    }

    /// Takes the next reply of those that are read completely.
    func nextReply() throws(Failure) -> RedisReply? {
        var reply: UnsafeMutableRawPointer?
        guard redisGetReplyFromReader(context, &reply) == REDIS_OK else { throw failure }
        return reply.map { RedisReply(owning: $0.assumingMemoryBound(to: redisReply.self)) }
    }

    /// The error that the server sent before it hung up, such as that it has no room for another client.
    ///
    /// hiredis reads nothing more once a write has failed.
    private var lastWords: String? {
        guard onewrite_redis_input_length(context) == 0 else { return nil }
        let line = [UInt8](unsafeUninitializedCapacity: 512) { buffer, count in
            count = max(0, recv(descriptor, buffer.baseAddress, buffer.count, 0))
        }
        guard line.first == UInt8(ascii: "-"), let end = line.firstIndex(of: UInt8(ascii: "\r")) else { return nil }
        return RedisReplyError(text: String(decoding: line[1..<end], as: UTF8.self)).description
    }

    private var failure: Failure {
        let reason = String(cString: onewrite_redis_error_text(context))
        return switch context.pointee.err {
        case REDIS_ERR_PROTOCOL: .malformed(reason)
        case REDIS_ERR_OOM: .malformed("a reply of more parts than there is room for")
        default: .lost(reason)
        }
    }

    private static func text(of code: Int32) -> String {
        strerror(code).map { String(cString: $0) } ?? "error \(code)"
    }
}
