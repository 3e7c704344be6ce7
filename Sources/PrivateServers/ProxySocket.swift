import Glibc

extension Descriptor {
    /// A socket that listens.
    static func listening(at address: FaultProxy.Address) throws(ServerError) -> Descriptor {
        if case .unix(let path) = address { unlink(path) }
        guard let descriptor = socket(for: address) else {
            throw .refused(operation: "make a socket", errno: errno)
        }
        var yes: Int32 = 1
        setsockopt(descriptor.number, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let isBound = withSocketAddress(address) { bind(descriptor.number, $0, $1) == 0 }
        guard isBound, listen(descriptor.number, 511) == 0 else {
            throw .refused(operation: "listen at \(address)", errno: errno)
        }
        return descriptor
    }

    /// A socket that is connected, or soon will be; nil when nobody listens there.
    static func connecting(to address: FaultProxy.Address) -> Descriptor? {
        guard let descriptor = socket(for: address) else { return nil }
        descriptor.prepareForProxy()
        let isConnected = withSocketAddress(address) { connect(descriptor.number, $0, $1) == 0 }
        return isConnected || errno == EINPROGRESS ? descriptor : nil
    }

    private static func socket(for address: FaultProxy.Address) -> Descriptor? {
        let family = if case .loopback = address { AF_INET } else { AF_UNIX }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let number = Glibc.socket(family, kind, 0)
        return number >= 0 ? Descriptor(number) : nil
    }

    /// The port that a listening socket got.
    func port() throws(ServerError) -> Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(number, $0, &length) }
        }
        guard result == 0 else { throw .refused(operation: "find the port", errno: errno) }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// The IPv4 address at the other end; nil for another kind of socket, or one that is gone.
    func peer() -> String? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(number, $0, &length) }
        }
        guard result == 0, address.sin_family == sa_family_t(AF_INET) else { return nil }
        let host = UInt32(bigEndian: address.sin_addr.s_addr)
        return [24, 16, 8, 0].map { "\((host >> $0) & 255)" }.joined(separator: ".")
    }

    /// Makes a socket never wait, neither in a call nor for more to send (on a unix socket there is no such wait).
    func prepareForProxy() {
        _ = fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK)
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        var yes: Int32 = 1
        setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Has the next close send RST, and forget what was not sent.
    ///
    /// socket(7), `SO_LINGER`: <https://man7.org/linux/man-pages/man7/socket.7.html>
    func resetWhenClosed() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(number, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    }
}

/// Calls the body with an address as the kernel takes it.
private func withSocketAddress<Result>(
    _ address: FaultProxy.Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    switch address {
    case .loopback(let port):
        var inet = sockaddr_in()
        inet.sin_family = sa_family_t(AF_INET)
        inet.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        inet.sin_port = UInt16(port).bigEndian
        return withUnsafePointer(to: &inet) { inet in
            inet.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    case .unix(let path):
        var unix = sockaddr_un()
        unix.sun_family = sa_family_t(AF_UNIX)
        precondition(path.utf8.count < MemoryLayout.size(ofValue: unix.sun_path), "a socket's path of over 107 bytes")
        withUnsafeMutableBytes(of: &unix.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &unix) { unix in
            unix.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
