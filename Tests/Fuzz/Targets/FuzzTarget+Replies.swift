import Foundation
import Glibc
import Inspection
import OrderLog
import Synchronization
@testable import RedisClient
@testable import RedisLog

extension FuzzTarget {
    /// What a server sends, or something that only listens where one should.
    static let replies = FuzzTarget("replies") { bytes in
        let whole = try Wire.shared.texts(of: [bytes[...]])
        let inPieces = try Wire.shared.texts(of: bytes.pieces)
        try require(whole == inPieces, "pieces give other replies: \(whole) \(inPieces)")
    }
}

/// A socket, and the client's side of it as the product has it.
private final class Wire: Sendable {
    static let shared = Wire()

    private let path: String
    private let listener: Int32
    /// Held from connecting to accepting: two threads would take each other's connection.
    private let pairing = Mutex(())

    private init() {
        let path = "/tmp/onewrite-fuzz-\(getpid())"
        self.path = path
        unlink(path)
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let isListening = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 && listen(listener, 8) == 0
            }
        }
        precondition(isListening, "can't listen at \(path): error \(errno)")
        atexit { unlink(Wire.shared.path) }
    }

    /// What the client makes of bytes that come in pieces: each reply as all who decode replies understand it, and how the
    /// connection ends.
    func texts(of pieces: [ArraySlice<UInt8>]) throws -> [String] {
        let (context, peer) = try pairing.withLock { _ in
            (try HiredisContext(connectingTo: .unix(path: path)), accept(listener, nil, nil))
        }
        defer { close(peer) }
        var texts: [String] = []
        do throws(HiredisContext.Failure) {
            for piece in pieces where !piece.isEmpty {
                // What no socket's buffer holds, would be waited for.
                let sent = piece.withUnsafeBytes { send(peer, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)) }
                guard sent == piece.count else { break }
                for _ in 0...piece.count / 16384 { try context.read() }
                while let reply = try context.nextReply() { texts.append(Self.text(of: reply)) }
            }
        } catch {
            texts.append("\(error)")
        }
        return texts
    }

    private static func text(of reply: RedisReply) -> String {
        let asked = RedisConfiguration.Endpoint.tcp(host: "asked", port: 6379)
        return """
            \(reply) \
            \(result { try reply.entries() }) \
            \(result { try reply.requireInfo().count }) \
            \(result { try ScriptReply(reply).number(1) }) \
            \(result { try LogLook(script: reply) }) \
            \(result { try SlotMap(reply, of: asked).masters }) \
            \(result { try reply.error.flatMap { try Redirection($0, heardFrom: asked) } }) \
            \(result { try PendingSummary.answer(reply) }) \
            \(result { try ServerFacts([reply, reply]).replid }) \
            \(AppendTimes.Probed(reply)?.seq?.number ?? 0) \
            \(EntryFields(ofEntry: reply).seq ?? 0)
            """
    }

    private static func result<Value>(_ decode: () throws -> Value) -> Result<Value, any Error> {
        Result(catching: decode)
    }
}
