import Foundation
import Glibc
import RedisClient
import ThreadedIO

struct LoopbackListener {
    let descriptor: Int32
    let port: UInt16

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 8) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        guard isListening else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        descriptor = listener
        port = UInt16(bigEndian: address.sin_port)
    }
}

/// A server that greets like Redis, and then says what the test tells it to, to one client.
final class ScriptedServer {
    private let listener: LoopbackListener
    private let thread: OtherThread

    /// Listens; `greets` when it answers the client's opening like Redis.
    init(greets: Bool = true, _ script: @escaping @Sendable (Peer) -> Void) throws {
        ignoreBrokenPipes()
        let listener = try LoopbackListener()
        self.listener = listener
        thread = onAnotherThread {
            let peer = Peer(descriptor: accept(listener.descriptor, nil, nil))
            if greets { peer.greet() }
            script(peer)
            peer.hangUp()
        }
    }

    deinit {
        close(listener.descriptor)
    }

    var configuration: RedisConfiguration {
        RedisConfiguration(.tcp(host: "127.0.0.1", port: Int(listener.port)))
    }

    func connect(interrupt: Interrupt? = nil) throws(RedisError) -> RedisSession {
        try RedisSession(connectingTo: configuration, until: .soon, interrupt: interrupt)
    }

    /// The server's side of the connection.
    struct Peer {
        let descriptor: Int32

        func greet() {
            waitFor("HELLO\r\n")
            say("*4\r\n$2\r\nid\r\n:7\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n")
        }

        /// Reads until the text has come, or the client has gone.
        func waitFor(_ text: String) {
            var seen = ""
            var byte: UInt8 = 0
            while !seen.hasSuffix(text), read(descriptor, &byte, 1) == 1 {
                seen.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }

        /// Reads so many bytes, unless the client goes before.
        func skip(_ count: Int) {
            var bytes = [UInt8](repeating: 0, count: 64 << 10)
            var left = count
            while left > 0 {
                let taken = read(descriptor, &bytes, min(left, bytes.count))
                guard taken > 0 else { return }
                left -= taken
            }
        }

        func say(_ text: String) {
            let bytes = Array(text.utf8)
            var start = 0
            while start < bytes.count {
                let count = bytes[start...].withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, 0) }
                guard count > 0 else { return }
                start += count
            }
        }

        /// Blocks until the client has closed its side.
        func waitForHangUp() {
            var bytes = [UInt8](repeating: 0, count: 1024)
            while read(descriptor, &bytes, bytes.count) > 0 {}
        }

        func hangUp() {
            close(descriptor)
        }
    }
}
