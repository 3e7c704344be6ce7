import RedisClient
import Testing
import ThreadedIO

@Suite("A script")
struct ScriptTests {
    private static let add = RedisScript(
        name: "add", source: "return {redis.call('INCRBY', KEYS[1], ARGV[1]), ARGV[2], #KEYS}")

    private static func calls(of command: String, on connection: RedisSession) throws -> Int {
        let stats = try connection.call(RedisCommand("INFO", "commandstats"), until: .soon).requireString()
        guard let range = stats.firstRange(of: "cmdstat_\(command):calls=") else { return 0 }
        return Int(stats[range.upperBound...].prefix { $0.isNumber }) ?? 0
    }

    @Test("runs with its keys and arguments, and its source is sent once")
    func runs() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        for round in 1...3 {
            let reply = try connection.evaluate(Self.add, keys: ["tea", "mug"], arguments: [5, "a b"], until: .soon)
            #expect(reply[0].integer == Int64(5 * round))
            #expect(reply[1].string == "a b" && reply[2].integer == 2)
        }
        #expect(try Self.calls(of: "script|load", on: connection) == 1)
        #expect(try Self.calls(of: "evalsha", on: connection) == 3)
        #expect(try Self.calls(of: "eval", on: connection) == 0)
    }

    @Test("that the server has dropped runs from its source, once, and by its digest from then on")
    func dropped() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        _ = try connection.evaluate(Self.add, keys: ["tea"], arguments: [1], until: .soon)
        try server.connect().call(RedisCommand("SCRIPT", "FLUSH"), until: .soon)
        for total: Int64 in 2...3 {
            #expect(try connection.evaluate(Self.add, keys: ["tea"], arguments: [1], until: .soon)[0].integer == total)
        }
        #expect(try Self.calls(of: "script|load", on: connection) == 1)
        #expect(try Self.calls(of: "eval", on: connection) == 1)
    }

    @Test("in a pipeline goes by its digest once it is loaded, and tells when the server has dropped it")
    func pipelined() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        connection.sendEvaluate(Self.add, keys: ["tea"], arguments: [1])
        #expect(try connection.receive(until: .soon)[0].integer == 1)
        #expect(try Self.calls(of: "eval", on: connection) == 1)
        try connection.load(Self.add, until: .soon)
        for _ in 0..<2 { connection.sendEvaluate(Self.add, keys: ["tea"], arguments: [1]) }
        #expect(try connection.receive(until: .soon)[0].integer == 2)
        #expect(try connection.receive(until: .soon)[0].integer == 3)
        #expect(try Self.calls(of: "evalsha", on: connection) == 2)
        try connection.call(RedisCommand("SCRIPT", "FLUSH"), until: .soon)
        connection.sendEvaluate(Self.add, keys: ["tea"], arguments: [1])
        #expect(try connection.receive(until: .soon).error?.isMissingScript == true)
    }

    @Test("that raises an error throws it, and the connection goes on")
    func raises() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        let script = RedisScript(name: "refuse", source: "return redis.error_reply('REFUSED no tea')")
        #expect(throws: RedisError.reply(RedisReplyError(text: "REFUSED no tea"))) {
            try connection.evaluate(script, keys: [], until: .soon)
        }
        let broken = RedisScript(name: "broken", source: "return return")
        let error = try #require(throws: RedisError.self) {
            try connection.evaluate(broken, keys: [], until: .soon)
        }
        guard case .reply(let reply) = error else { throw error }
        #expect(reply.message.contains("Error compiling script"))
        #expect(try connection.evaluate(Self.add, keys: ["tea"], arguments: [1], until: .soon)[0].integer == 1)
    }

    @Test("is not mistaken for another of the same name")
    func sameName() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        for number: Int64 in [1, 2, 1] {
            let script = RedisScript(name: "answer", source: "return \(number)")
            #expect(try connection.evaluate(script, keys: [], until: .soon).integer == number)
        }
    }
}
