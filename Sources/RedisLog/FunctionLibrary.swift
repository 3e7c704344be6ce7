package import RedisClient
import ThreadedIO

/// The library of Redis functions by which producers in any language append: `onewrite_append` and `onewrite_partition`.
///
/// Made of the same Lua as the append of this program.
///
/// Redis: <https://redis.io/docs/latest/develop/interact/programmability/functions-intro/>
package enum FunctionLibrary {
    /// What FUNCTION LOAD takes.
    package static var source: String { Scripts.functions }

    /// What the server holds of it.
    package enum State: Hashable, Sendable {
        case missing
        /// Another version's.
        case different
        case current
    }

    /// Looks whether a server holds the library.
    ///
    /// - Parameter server: Which.
    /// - Returns: What it holds.
    /// - Throws: `RedisError`.
    package static func state(on server: RedisSession) throws(RedisError) -> State {
        let reply = try server.call(
            RedisCommand("FUNCTION", "LIST", "LIBRARYNAME", "onewrite", "WITHCODE"), until: .after(StreamLog.timeout)
        ).requireArray()
        guard let library = reply.first else { return .missing }
        let parts = try library.requireArray()
        for index in stride(from: 0, to: parts.count - 1, by: 2) where parts[index].string == "library_code" {
            return parts[index + 1].string == source ? .current : .different
        }
        return .different
    }

    /// Looks what the masters hold of it.
    ///
    /// - Parameter connection: To the masters.
    /// - Returns: What they all hold, or what one of them holds instead of the current one.
    /// - Throws: `RedisError`.
    package static func state(on connection: RedisConnection) throws(RedisError) -> State {
        for server in try connection.sessions(until: .after(StreamLog.timeout)) {
            let state = try state(on: server)
            if state != .current { return state }
        }
        return .current
    }

    /// Loads the library on every master where it isn't there, or is another version's.
    ///
    /// - Parameter connection: To the masters.
    /// - Returns: Why that can't be: a right that is missing, mostly; nil when it is there now.
    /// - Throws: `RedisError` for anything else than the server's refusal.
    package static func ensure(on connection: RedisConnection) throws(RedisError) -> String? {
        do throws(RedisError) {
            if try state(on: connection) != .current { try load(on: connection) }
            return nil
        } catch .reply(let error) {
            return "\(error)"
        }
    }

    /// Loads the library, in the place of another version's.
    ///
    /// Replicas get it from their master.
    ///
    /// - Parameter connection: To the masters.
    /// - Throws: `RedisError`.
    package static func load(on connection: RedisConnection) throws(RedisError) {
        for server in try connection.sessions(until: .after(StreamLog.timeout)) { try load(on: server) }
    }

    private static func load(on server: RedisSession) throws(RedisError) {
        _ = try server.call(RedisCommand("FUNCTION", "LOAD", "REPLACE", source), until: .after(StreamLog.timeout))
            .requireString()
    }
}
