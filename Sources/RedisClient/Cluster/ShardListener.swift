package import ThreadedIO

/// Listens to channels of a Redis Cluster, each on the master that has its slot, over a session a node.
///
/// A blocking read of several streams is refused where they are in different slots. So whoever writes to a stream says
/// so on a channel of the stream's name, and who reads waits for that. A message says that there is something, not
/// what; one can be lost while a slot moves or a node fails, and ``hears(_:)`` is false where nothing can be heard. For
/// one thread.
///
/// Redis: <https://redis.io/docs/latest/develop/interact/pubsub/#sharded-pubsub>
package final class ShardListener {
    private typealias Endpoint = RedisConfiguration.Endpoint

    private let connection: RedisConnection
    private var sessions: [Endpoint: RedisSession] = [:]
    private var heard: [String: Endpoint] = [:]
    private var told: Set<String> = []
    /// When each channel that isn't heard is tried again.
    private var nextTry: [String: ContinuousClock.Instant] = [:]

    private static let pause: Duration = .milliseconds(200)
    private static let timeout: Duration = .seconds(1)

    /// Hears nothing yet.
    ///
    /// - Parameter connection: Knows which master has which slot.
    package init(_ connection: RedisConnection) { self.connection = connection }

    /// Whether a channel is listened to, as far as is known.
    package func hears(_ channel: String) -> Bool { heard[channel] != nil }

    /// Sees to it that channels are listened to; one that can't be is tried again later.
    ///
    /// - Throws: ``RedisError/interrupted``.
    package func listen(to channels: some Sequence<String>) throws(RedisError) {
        for channel in channels where heard[channel] == nil && nextTry[channel] ?? .now <= .now {
            nextTry[channel] = .now.advanced(by: Self.pause)
            do throws(RedisError) {
                try subscribe(channel)
            } catch .interrupted {
                throw .interrupted
            } catch {
                continue
            }
        }
    }

    private func subscribe(_ channel: String) throws(RedisError) {
        let server = try connection.session(for: channel, until: .after(Self.timeout))
        let place = server.configuration
        let session: RedisSession
        if let open = sessions[place.endpoint], open.isUsable {
            session = open
        } else {
            forget(place.endpoint)
            session = try RedisSession(
                connectingTo: place, until: .after(Self.timeout), interrupt: connection.interrupt)
            sessions[place.endpoint] = session
        }
        session.send(RedisCommand("SSUBSCRIBE", channel))
        while heard[channel] == nil {
            let reply = try session.nextReply(until: .after(Self.timeout))
            if let error = reply.error {
                session.settleOldest()
                try connection.learn(from: error, of: place.endpoint)
                throw .reply(error)
            }
            if try note(reply, place.endpoint) { session.settleOldest() }
        }
    }

    /// Waits until somebody said something on a channel.
    ///
    /// - Parameters:
    ///   - deadline: How long.
    ///   - interrupt: Ends the wait.
    /// - Returns: The channels; none when the deadline passed, or the interrupt was signalled.
    package func wait(until deadline: Deadline, interrupt: Interrupt?) -> Set<String> {
        drain()
        if told.isEmpty {
            let descriptors = sessions.values.compactMap(\.descriptor)
            if ThreadedIO.wait(forReadingAnyOf: descriptors, until: deadline, interrupt: interrupt) == .ready {
                drain()
            }
        }
        defer { told = [] }
        return told
    }

    /// Takes what has come.
    package func drain() {
        for (endpoint, session) in sessions {
            do throws(RedisError) {
                while true { _ = try note(try session.nextReply(until: Deadline(.now)), endpoint) }
            } catch .timedOut {
                continue
            } catch {
                forget(endpoint)
            }
        }
    }

    /// Whether it was the confirmation of a subscription.
    private func note(_ message: RedisReply, _ endpoint: Endpoint) throws(RedisError) -> Bool {
        let parts = try message.requireArray(count: 3)
        let channel = try parts[1].requireString()
        switch try parts[0].requireString() {
        case "smessage": told.insert(channel)
        case "ssubscribe":
            heard[channel] = endpoint
            nextTry[channel] = nil
            return true
        // The slot has moved; it may have been written to since.
        case "sunsubscribe":
            heard[channel] = nil
            told.insert(channel)
        default: throw .protocolViolation("a message of sharded pub/sub")
        }
        return false
    }

    private func forget(_ endpoint: Endpoint) {
        sessions[endpoint]?.close()
        sessions[endpoint] = nil
        for (channel, place) in heard where place == endpoint {
            heard[channel] = nil
            told.insert(channel)
        }
    }
}
