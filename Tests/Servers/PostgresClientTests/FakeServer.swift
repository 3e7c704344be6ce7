import Foundation
import PostgresClient
import Synchronization
import Testing
import ThreadedIO

/// A server on a loopback port that says what it is told to, to one client.
final class FakeServer: Sendable {
    let port: UInt16
    private let listener: Int32

    /// Listens, and plays the script on a thread of its own with the first client that connects.
    init(_ script: @escaping @Sendable (FakeClient) -> Void) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                precondition(bind(listener, address, length) == 0 && listen(listener, 8) == 0)
                getsockname(listener, address, &length)
            }
        }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread {
            let client = FakeClient(descriptor: accept(listener, nil, nil))
            script(client)
            close(client.descriptor)
        }
    }

    deinit {
        close(listener)
    }

    func connect(until deadline: Deadline = soon, interrupt: Interrupt? = nil) throws -> PostgresConnection {
        let url = "postgres://me:hunter2@127.0.0.1:\(port)/shop?sslmode=disable&gssencmode=disable"
        return try PostgresConnection(
            connectingTo: PostgresConfiguration(url: url), until: deadline, interrupt: interrupt)
    }
}

/// The server's side of a connection.
struct FakeClient: Sendable {
    let descriptor: Int32

    /// Reads what has come, and waits for it; empty when the client has closed.
    @discardableResult
    func read() -> [UInt8] {
        var bytes: [UInt8] = Array(repeating: 0, count: 100_000)
        return Array(bytes.prefix(max(0, Glibc.read(descriptor, &bytes, bytes.count))))
    }

    /// Waits until the client has closed.
    func readAll() {
        while !read().isEmpty {}
    }

    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Sends one message of the protocol.
    func send(_ type: Character, _ body: [UInt8]) {
        send(Self.message(type, body))
    }

    static func message(_ type: Character, _ body: [UInt8]) -> [UInt8] {
        let length = UInt32(body.count + 4).bigEndian
        return [type.asciiValue ?? 0] + withUnsafeBytes(of: length) { Array($0) } + body
    }

    /// Lets the client in.
    func welcome() {
        read()
        send("R", [0, 0, 0, 0])
        send("S", Array("server_version\0".utf8) + Array("15.0 (Fake)\0".utf8))
        send("K", [0, 0, 0, 1, 0, 0, 0, 2])
        send("Z", [UInt8(ascii: "I")])
    }
}
