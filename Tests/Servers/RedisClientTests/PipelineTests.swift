import RedisClient
import Testing
import ThreadedIO

@Suite("A pipeline")
struct PipelineTests {
    @Test("answers ten thousand commands in their order")
    func order() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        let replies = try connection.pipeline((1...10_000).map { RedisCommand("INCRBY", "tea", $0) }, until: .soon)
        let sums: [Int64?] = (1...10_000).map { $0 * ($0 + 1) / 2 }
        #expect(replies.map(\.integer) == sums)
        #expect(connection.outstanding == 0)
    }

    @Test("does not stand still when the server reads no further before its reply is taken")
    func fullBuffers() throws {
        let length = 4 << 20
        let server = try ScriptedServer { peer in
            for _ in 0..<8 {
                peer.waitFor("\r\n$\(length)\r\n")
                peer.skip(length)
                peer.say("$\(length)\r\n" + String(repeating: "b", count: length) + "\r\n")
            }
            peer.waitForHangUp()
        }
        let connection = try server.connect()
        let payload = [UInt8](repeating: 0x61, count: length)
        for _ in 0..<8 { connection.send(RedisCommand("ECHO", payload)) }
        try connection.flush(until: .soon)
        for _ in 0..<8 { #expect(try connection.receive(until: .soon).bytes?.count == length) }
    }

    @Test("larger than both sides' buffers comes back whole", arguments: [false, true])
    func large(overTCP: Bool) throws {
        let server = try RedisServer()
        let connection = try RedisSession(
            connectingTo: overTCP ? server.tcp : server.unix, until: .soon, interrupt: nil)
        let payload = [UInt8](repeating: 0x61, count: 256 << 10)
        let commands = (0..<256).map { RedisCommand("ECHO", payload + Array("\($0)".utf8)) }
        let replies = try connection.pipeline(commands, until: .soon)
        for (index, reply) in replies.enumerated() {
            #expect(reply.withBytes { $0.count == payload.count + "\(index)".utf8.count })
        }
    }

    @Test("by hand comes back whole too when everything is queued before the first write")
    func largeByHand() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        let payload = [UInt8](repeating: 0x62, count: 1 << 20)
        for _ in 0..<48 { connection.send(RedisCommand("ECHO", payload)) }
        #expect(connection.outstanding == 48)
        try connection.flush(until: .soon)
        for _ in 0..<48 { #expect(try connection.receive(until: .soon).bytes?.count == payload.count) }
        #expect(connection.outstanding == 0)
    }

    @Test("keeps an error reply in its place and goes on")
    func errorInBetween() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        let replies = try connection.pipeline(
            [RedisCommand("SET", "tea", "green"), RedisCommand("LPUSH", "tea", 1), RedisCommand("GET", "tea")],
            until: .soon)
        #expect(replies.map(\.kind) == [.status, .error, .string])
        #expect(replies[1].error?.code == "WRONGTYPE")
        #expect(replies[2].string == "green")
        #expect(connection.isUsable)
    }

    @Test("of no commands answers nothing")
    func empty() throws {
        let server = try RedisServer()
        #expect(try server.connect().pipeline([], until: .soon).isEmpty)
    }
}

@Suite("A command")
struct CommandTests {
    @Test("carries any bytes, empty ones and none, through the server and back")
    func bytes() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        let payload = (0...255).map { UInt8($0) } + Array("\r\n$3\r\n".utf8)
        var command = RedisCommand("RPUSH", "tea", payload, "", "é 茶", -7, UInt64.max)
        command.append(contentsOf: ["x", "y"])
        command.append(payload[1..<3])
        try connection.call(command, until: .soon)
        let list = try connection.call(RedisCommand("LRANGE", "tea", 0, -1), until: .soon).requireArray(count: 8)
        #expect(try list[0].requireBytes() == payload)
        #expect(list[0].string == nil)
        #expect(
            try list.dropFirst().dropLast().map { try $0.requireString() }
                == ["", "é 茶", "-7", "18446744073709551615", "x", "y"])
        #expect(try list[7].requireBytes() == [1, 2])
    }

    @Test("that the server doesn't know is thrown without the arguments it had")
    func unknown() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        let error = try #require(throws: RedisError.self) {
            try connection.call(RedisCommand("BREW", "s3cret"), until: .soon)
        }
        guard case .reply(let reply) = error else { throw error }
        #expect(reply.code == "ERR" && reply.message == "unknown command 'BREW'")
        #expect(!error.outcomeIsUnknown && !error.isRetriable)
        #expect(connection.isUsable)
    }
}
