import OrderLog
import RedisClient

/// What a script returned: a code, and what belongs to it.
struct ScriptReply {
    let code: String
    private let parts: RedisReply.Elements

    init(_ reply: RedisReply) throws(RedisError) {
        parts = try reply.requireArray()
        guard let first = parts.first else { throw .protocolViolation("a script's code, got an empty list") }
        code = try first.requireString()
    }

    var count: Int { parts.count }

    func string(_ index: Int) throws(RedisError) -> String {
        guard parts.indices.contains(index) else {
            throw .protocolViolation("more values behind \(code) in a script's reply")
        }
        return try parts[index].requireString()
    }

    /// A whole number that the script formatted, 0 or more.
    func number(_ index: Int) throws(RedisError) -> Int64 {
        guard let number = Int64(try string(index)), number >= 0 else {
            throw .protocolViolation("a whole number behind \(code) in a script's reply")
        }
        return number
    }

    var unknownCode: RedisError { .protocolViolation("a script's code that is known, got \(code)") }
}
