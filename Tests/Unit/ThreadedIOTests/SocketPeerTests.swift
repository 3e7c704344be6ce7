import Glibc
import Testing

@testable import ThreadedIO

@Suite("The other end of a socket")
struct SocketPeerTests {
    @Test("of a unix socket is on this machine, of none can't be told")
    func unix() {
        var pair: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        defer { for descriptor in pair { close(descriptor) } }
        #expect(isOnThisMachine(peerOf: pair[0]))
        #expect(!isOnThisMachine(peerOf: -1))
        let alone = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(alone) }
        #expect(!isOnThisMachine(peerOf: alone))
    }

    @Test("on the loopback interface is told by its address, in both languages")
    func loopback() {
        let mapped: [UInt8] = Array(repeating: 0, count: 10) + [0xFF, 0xFF]
        let one: [UInt8] = Array(repeating: 0, count: 15) + [1]
        for bytes in [[127, 0, 0, 1], [127, 9, 9, 9], one, mapped + [127, 0, 0, 1]] {
            #expect(SocketAddress.internet(bytes).isLoopback, "\(bytes)")
        }
        let another: [UInt8] = Array(repeating: 0, count: 15) + [2]
        for bytes in [[10, 0, 0, 1], [128, 0, 0, 1], another, mapped + [10, 0, 0, 1]] {
            #expect(!SocketAddress.internet(bytes).isLoopback, "\(bytes)")
        }
    }
}
