import Glibc

/// Whether the other end of a connected socket is on this machine: a unix socket, the loopback interface, or an address of
/// our own.
///
/// A tunnel or a proxy on this machine counts as here, whatever is behind it.
///
/// - Parameter descriptor: The socket.
/// - Returns: false too when it can't be told.
package func isOnThisMachine(peerOf descriptor: Int32) -> Bool {
    guard let peer = SocketAddress(of: descriptor, getpeername), let own = SocketAddress(of: descriptor, getsockname)
    else { return false }
    return peer.isLoopback || peer == own
}

/// A socket's address, without the port.
enum SocketAddress: Equatable {
    case unix
    /// In the network's order.
    case internet([UInt8])

    init?(
        of descriptor: Int32,
        _ name: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isKnown = withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { name(descriptor, $0, &size) == 0 }
        }
        guard isKnown else { return nil }
        switch Int32(storage.ss_family) {
        case AF_UNIX: self = .unix
        case AF_INET:
            self = .internet(
                withUnsafeBytes(of: &storage) { bytes in
                    Array(bytes.dropFirst(MemoryLayout<sockaddr_in>.offset(of: \.sin_addr) ?? 0).prefix(4))
                })
        case AF_INET6:
            self = .internet(
                withUnsafeBytes(of: &storage) { bytes in
                    Array(bytes.dropFirst(MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr) ?? 0).prefix(16))
                })
        default: return nil
        }
    }

    var isLoopback: Bool {
        switch self {
        case .unix: true
        case .internet(let bytes) where bytes.count == 4: bytes[0] == 127
        // ::1, and 127.0.0.0/8 as IPv6 writes it.
        case .internet(let bytes):
            bytes == Array(repeating: 0, count: 15) + [1]
                || bytes.prefix(13) == Array(repeating: 0, count: 10) + [0xFF, 0xFF, 127]
        }
    }
}
