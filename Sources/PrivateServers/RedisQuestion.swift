import Glibc
import ThreadedIO

/// Asks a Redis server one thing over a new connection to its unix socket.
///
/// - Returns: The reply's text, an error's with its `-`; nil for no answer in time, and for a reply that is no text.
func askRedis(_ words: [String], at path: String, password: String?, within limit: Duration) -> String? {
    let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard number >= 0 else { return nil }
    let descriptor = Descriptor(number)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let isConnected = withUnsafePointer(to: &address) { address in
        address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
    }
    let login = password.map { encoded(["AUTH", $0]) } ?? ""
    let request = Array((login + encoded(words)).utf8)
    // MSG_NOSIGNAL: a server that ends at this moment must not end us by SIGPIPE.
    guard isConnected, send(descriptor.number, request, request.count, Int32(MSG_NOSIGNAL)) > 0 else { return nil }
    var answer: [UInt8] = []
    let deadline = Deadline.after(limit)
    while wait(for: .reading, on: descriptor.number, until: deadline, interrupt: nil) == .ready {
        let chunk = [UInt8](unsafeUninitializedCapacity: 4096) { bytes, count in
            count = max(0, read(descriptor.number, bytes.baseAddress, bytes.count))
        }
        if chunk.isEmpty { return nil }
        answer += chunk
        var replies = answer[...]
        if password != nil, nextReply(&replies) == nil { continue }
        if let reply = nextReply(&replies) { return reply }
    }
    return nil
}

/// A command as the server reads it.
private func encoded(_ words: [String]) -> String {
    "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
}

/// Takes one whole reply off the front; nil while it isn't there yet, or when it is no text.
private func nextReply(_ bytes: inout ArraySlice<UInt8>) -> String? {
    guard let end = bytes.firstIndex(of: UInt8(ascii: "\r")), end + 1 < bytes.endIndex, let kind = bytes.first else {
        return nil
    }
    let line = String(decoding: bytes[bytes.startIndex..<end], as: UTF8.self)
    bytes = bytes[(end + 2)...]
    switch kind {
    case UInt8(ascii: "-"): return line
    case UInt8(ascii: "+"), UInt8(ascii: ":"): return String(line.dropFirst())
    case UInt8(ascii: "$"):
        guard let count = Int(line.dropFirst()), count >= 0, bytes.count >= count + 2 else { return nil }
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        bytes = bytes.dropFirst(count + 2)
        return text
    default: return nil
    }
}
