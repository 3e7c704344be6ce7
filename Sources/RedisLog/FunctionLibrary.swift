package import OrderLog
package import RedisClient
import ThreadedIO

/// The library of Redis functions by which producers in any language append: `onewrite_append` and `onewrite_partition`.
///
/// Made of the same Lua as the append of this program.
///
/// Redis: <https://redis.io/docs/latest/develop/interact/programmability/functions-intro/>
package enum FunctionLibrary {
    /// What FUNCTION LOAD takes.
    ///
    /// - Parameter format: The log's: from ``LogFormat/names`` on names are UTF-8.
    /// - Returns: The library's text.
    package static func source(for format: LogFormat) -> String {
        format < .names
            ? Scripts.functions
            : Scripts.functions.replacing("local has_wide_names = false", with: "local has_wide_names = true")
    }

    /// What the server holds of it.
    package enum State: Hashable, Sendable {
        case missing
        /// Another version's.
        case different
        case current
    }

    /// Looks whether a server holds the library.
    ///
    /// - Parameters:
    ///   - server: Which.
    ///   - format: The log's.
    /// - Returns: What it holds.
    /// - Throws: `RedisError`.
    package static func state(on server: RedisSession, for format: LogFormat) throws(RedisError) -> State {
        let reply = try server.call(
            RedisCommand("FUNCTION", "LIST", "LIBRARYNAME", "onewrite", "WITHCODE"), until: .after(StreamLog.timeout)
        ).requireArray()
        guard let library = reply.first else { return .missing }
        let parts = try library.requireArray()
        for index in stride(from: 0, to: parts.count - 1, by: 2) where parts[index].string == "library_code" {
            return parts[index + 1].string == source(for: format) ? .current : .different
        }
        return .different
    }

    /// Looks what the masters hold of it.
    ///
    /// - Parameters:
    ///   - connection: To the masters.
    ///   - format: The log's.
    /// - Returns: What they all hold, or what one of them holds instead of the current one.
    /// - Throws: `RedisError`.
    package static func state(on connection: RedisConnection, for format: LogFormat) throws(RedisError) -> State {
        for server in try connection.sessions(until: .after(StreamLog.timeout)) {
            let state = try state(on: server, for: format)
            if state != .current { return state }
        }
        return .current
    }

    /// Loads the library on every master where it isn't there, or is another version's.
    ///
    /// - Parameters:
    ///   - connection: To the masters.
    ///   - format: The log's.
    /// - Returns: Why that can't be: a right that is missing, mostly; nil when it is there now.
    /// - Throws: `RedisError` for anything else than the server's refusal.
    package static func ensure(on connection: RedisConnection, for format: LogFormat) throws(RedisError) -> String? {
        do throws(RedisError) {
            if try state(on: connection, for: format) != .current { try load(on: connection, for: format) }
            return nil
        } catch .reply(let error) {
            return "\(error)"
        }
    }

    /// Loads the library, in the place of another version's.
    ///
    /// Replicas get it from their master.
    ///
    /// - Parameters:
    ///   - connection: To the masters.
    ///   - format: The log's.
    /// - Throws: `RedisError`.
    package static func load(on connection: RedisConnection, for format: LogFormat) throws(RedisError) {
        let command = RedisCommand("FUNCTION", "LOAD", "REPLACE", source(for: format))
        for server in try connection.sessions(until: .after(StreamLog.timeout)) {
            _ = try server.call(command, until: .after(StreamLog.timeout)).requireString()
        }
    }
}
