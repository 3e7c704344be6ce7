import Foundation
import Synchronization

/// An HTTP server on a loopback port that notes what is posted, and answers as it is told.
///
/// A thread a connection; connections stay open. It ends when it is let go of.
package final class HTTPReceiver: Sendable {
    /// What was posted.
    package struct Request: Sendable {
        package let path: String
        /// Names in lower case.
        package let headers: [String: String]
        package let body: String
    }

    /// What is answered.
    package struct Answer: Sendable {
        package var status: Int
        package var headers: [String: String] = [:]
        package var body = ""
        /// How long it takes.
        package var delay: Duration = .zero
        /// Whether the connection is closed instead of answered.
        package var isCut = false

        package init(_ status: Int) { self.status = status }
    }

    package let port: UInt16
    package var url: String { "http://127.0.0.1:\(port)/hooks" }
    private let listener: Int32
    private let connections = Mutex<Set<Int32>>([])

    /// Listens.
    ///
    /// - Parameter answer: Called for each request, on the connection's thread.
    package init(_ answer: @escaping @Sendable (Request) -> Answer) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                precondition(bind(listener, address, length) == 0 && listen(listener, 64) == 0)
                getsockname(listener, address, &length)
            }
        }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [weak self] in
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0, let self else { return }
                self.connections.withLock { _ = $0.insert(client) }
                Thread.detachNewThread { [weak self] in
                    HTTPReceiver.serve(client, answer)
                    self?.connections.withLock { _ = $0.remove(client) }
                    close(client)
                }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        for client in connections.withLock({ $0 }) { shutdown(client, Int32(SHUT_RDWR)) }
    }

    private static func serve(_ client: Int32, _ answer: @Sendable (Request) -> Answer) {
        var received: [UInt8] = []
        while let request = next(client, &received) {
            let answer = answer(request)
            if answer.delay > .zero { Thread.sleep(forTimeInterval: answer.delay / .seconds(1)) }
            if answer.isCut { return }
            let headers = answer.headers.map { "\($0): \($1)\r\n" }.joined()
            let text =
                "HTTP/1.1 \(answer.status) Said\r\n\(headers)Content-Length: \(answer.body.utf8.count)\r\n\r\n\(answer.body)"
            let bytes = Array(text.utf8)
            if send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL)) < 0 { return }
        }
    }

    /// The next request; nil when the client has gone.
    private static func next(_ client: Int32, _ received: inout [UInt8]) -> Request? {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let head = received.firstRange(of: end) {
                let lines = String(decoding: received[..<head.lowerBound], as: UTF8.self).components(
                    separatedBy: "\r\n")
                var headers: [String: String] = [:]
                for line in lines.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    if parts.count == 2 {
                        headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
                    }
                }
                let length = headers["content-length"].flatMap { Int($0) } ?? 0
                if received.count >= head.upperBound + length {
                    let body = String(decoding: received[head.upperBound..<head.upperBound + length], as: UTF8.self)
                    received.removeFirst(head.upperBound + length)
                    let path = lines.first?.split(separator: " ").dropFirst().first.map(String.init) ?? ""
                    return Request(path: path, headers: headers, body: body)
                }
            }
            var bytes: [UInt8] = Array(repeating: 0, count: 65536)
            let count = read(client, &bytes, bytes.count)
            guard count > 0 else { return nil }
            received += bytes.prefix(count)
        }
    }
}
