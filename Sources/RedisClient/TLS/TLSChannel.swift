import CHiredis
import ThreadedIO

/// Carries what is in hiredis's buffers through TLS, in the place of hiredis's own reading and writing.
///
/// hiredis has TLS since 1.0 only, and Debian 12 has 0.14; with the buffers alone both work. Nothing is copied that hiredis
/// would not copy, and there is no other thread.
final class TLSChannel {
    private let session: TLSSession
    /// A record holds at most this many bytes.
    private let record = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 16)
    /// How many bytes at the beginning of hiredis's buffer are written.
    ///
    /// They stay there until all are: moving the rest up for each record would cost more than the encrypting.
    private(set) var bytesWritten = 0
    /// What the last reading, and writing, waits for.
    ///
    /// TLS may have to write to read on, and the other way round.
    private var (readWait, writeWait) = (Interest.reading, Interest.writing)
    /// Whether there may be more to read although the socket has nothing: OpenSSL reads ahead.
    private var hasReadAhead = false
    /// Whether anything came through, so that both sides have accepted each other.
    ///
    /// With TLS 1.3 a server says only behind the handshake that it doesn't like our certificate.
    private var isAccepted = false
    /// How the connection ended, behind bytes that are to be taken first.
    private var ending: HiredisContext.Failure?

    /// Records that are read with one call.
    private static let recordsMax = 4
    /// A larger buffer is given back when it is empty.
    private static let outputKept = 64 << 10

    init(_ session: TLSSession) {
        self.session = session
    }

    deinit { record.deallocate() }

    var version: String { session.version }
    var cipher: String { session.cipher }

    /// Goes on with the handshake, and returns what has to be waited for, nil when it is done.
    func shakeHands() throws(HiredisContext.Failure) -> Interest? {
        switch session.handshake() {
        case .done: return nil
        case .waits(let interest): return interest
        case let other: throw failure(other)
        }
    }

    /// What to wait for on the socket; nil when there is something to read already.
    func wait(for interest: Interest) -> Interest? {
        switch interest {
        case .reading: hasReadAhead ? nil : readWait
        case .writing: writeWait
        case .either: hasReadAhead ? nil : readWait == writeWait ? readWait : .either
        }
    }

    /// Writes what the socket takes, and returns whether that is all.
    func write(from context: UnsafeMutablePointer<redisContext>) throws(HiredisContext.Failure) -> Bool {
        let count = onewrite_redis_output_length(context)
        while bytesWritten < count {
            switch session.write(onewrite_redis_output(context) + bytesWritten, count: count - bytesWritten) {
            case .done(let bytes): bytesWritten += bytes
            case .waits(let interest):
                writeWait = interest
                return false
            case let other:
                // Why, may have been said before.
                try read(into: context)
                throw failure(other)
            }
        }
        bytesWritten = 0
        writeWait = .writing
        guard onewrite_redis_output_clear(context, Self.outputKept) != 0 else { throw .lost("out of memory") }
        return true
    }

    /// Reads some records.
    func read(into context: UnsafeMutablePointer<redisContext>) throws(HiredisContext.Failure) {
        if let ending { throw ending }
        for number in 0..<Self.recordsMax {
            switch session.read(into: record) {
            case .done(let bytes):
                isAccepted = true
                guard redisReaderFeed(context.pointee.reader, record.baseAddress, bytes) == REDIS_OK else {
                    throw .lost("out of memory")
                }
            case .waits(let interest):
                (readWait, hasReadAhead) = (interest, false)
                return
            case let other where number == 0: throw failure(other)
            case let other:
                (ending, hasReadAhead) = (failure(other), true)
                return
            }
        }
        (readWait, hasReadAhead) = (.reading, true)
    }

    private func failure(_ outcome: TLSSession.Outcome) -> HiredisContext.Failure {
        switch outcome {
        case .refused(let reason): isAccepted ? .lost(reason) : .refused(reason)
        case .lost(let reason): .lost(reason)
        case .ended, .done, .waits: .lost(HiredisContext.hungUp)
        }
    }
}
