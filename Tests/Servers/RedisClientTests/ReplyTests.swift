import RedisClient
import Testing
import ThreadedIO

@Suite("A reply")
struct ReplyTests {
    private static func reply(_ text: String) throws -> RedisReply {
        let server = try ScriptedServer { peer in
            peer.waitFor("ASK\r\n")
            peer.say(text)
            peer.waitForHangUp()
        }
        let connection = try server.connect()
        connection.send(RedisCommand("ASK"))
        return try connection.receive(until: .soon)
    }

    @Test("has one kind, and no value of another")
    func kinds() throws {
        let reply = try Self.reply("*7\r\n$5\r\ngreen\r\n+OK\r\n:-42\r\n*0\r\n$-1\r\n*-1\r\n-OOM too much tea\r\n")
        #expect(reply.elements.map(\.kind) == [.string, .status, .integer, .array, .null, .null, .error])
        #expect(reply.elements.map(\.string) == ["green", "OK", nil, nil, nil, nil, nil])
        #expect(reply.elements.map(\.integer) == [nil, nil, -42, nil, nil, nil, nil])
        #expect(reply.elements.map(\.isNull) == [false, false, false, false, true, true, false])
        #expect(reply.elements.map(\.count) == [0, 0, 0, 0, 0, 0, 0])
        #expect(reply[6].error == RedisReplyError(text: "OOM too much tea"))
        #expect(reply[6].error?.code == "OOM" && reply[6].error?.message == "too much tea")
        #expect(reply.error == nil && reply.string == nil && reply.bytes == nil && reply.count == 7)
    }

    @Test("lives on in its parts, after the connection has gone")
    func partsLive() throws {
        let part = try { try Self.reply("*2\r\n*1\r\n$3\r\ntea\r\n:1\r\n")[0][0] }()
        #expect(part.string == "tea")
    }

    @Test("is no text when its bytes are not UTF-8, but has them")
    func notUTF8() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        let reply = try connection.call(RedisCommand("ECHO", [0xff, 0x00] as [UInt8]), until: .soon)
        #expect(reply.string == nil)
        #expect(reply.bytes == [0xff, 0x00])
        #expect(throws: RedisError.protocolViolation("expected a string of UTF-8, got a string of 2 bytes")) {
            try reply.requireString()
        }
    }

    @Test("of the wrong shape says what was expected, and an error reply is thrown as itself")
    func requiring() throws {
        let reply = try Self.reply("*3\r\n$6\r\ns3cret\r\n:7\r\n-WRONGTYPE no list\r\n")
        #expect(throws: RedisError.protocolViolation("expected an integer, got a string of 6 bytes")) {
            try reply[0].requireInteger()
        }
        #expect(throws: RedisError.protocolViolation("expected a string of UTF-8, got an integer")) {
            try reply[1].requireString()
        }
        #expect(throws: RedisError.protocolViolation("expected an array of 2, got an array of 3")) {
            try reply.requireArray(count: 2)
        }
        #expect(throws: RedisError.protocolViolation("expected an array of pairs, got an array of 3")) {
            try reply.field("tea")
        }
        #expect(throws: RedisError.reply(RedisReplyError(text: "WRONGTYPE no list"))) { try reply[2].requireArray() }
        #expect(try reply.requireArray(count: 3).map(\.kind) == [.string, .integer, .error])
    }

    @Test("of names and values gives the value by its name")
    func fields() throws {
        let reply = try Self.reply("*4\r\n$3\r\ntea\r\n:1\r\n$3\r\nmug\r\n:2\r\n")
        #expect(try reply.field("mug")?.integer == 2)
        #expect(try reply.field("te")?.integer == nil)
    }
}
