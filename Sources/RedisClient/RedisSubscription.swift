package import ThreadedIO

/// A session that listens to one channel.
///
/// While it lives, `PUBSUB NUMSUB` counts it: that is how others see that this process is there. For one thread, like
/// the ``RedisSession`` under it.
///
/// Redis: <https://redis.io/docs/latest/develop/interact/pubsub/>
package final class RedisSubscription {
    /// The channel's name.
    package let channel: String
    private let connection: RedisSession
    private var messages = FIFO<[UInt8]>()

    /// Connects and subscribes.
    ///
    /// - Parameters:
    ///   - channel: The channel to listen to.
    ///   - configuration: The server, and as whom to speak to it.
    ///   - deadline: When to give up.
    ///   - interrupt: Ends the waits from another thread.
    /// - Throws: As ``RedisSession/init(connectingTo:until:interrupt:)``.
    package init(
        to channel: String, at configuration: RedisConfiguration, until deadline: Deadline, interrupt: Interrupt?
    ) throws(RedisError) {
        self.channel = channel
        connection = try RedisSession(connectingTo: configuration, until: deadline, interrupt: interrupt)
        let confirmation = try connection.call(RedisCommand("SUBSCRIBE", channel), until: deadline)
        guard try confirmation.requireArray(count: 3)[0].requireString() == "subscribe" else {
            throw .protocolViolation("expected the confirmation of a subscription")
        }
    }

    /// Whether the server counts this session, as far as is known without asking it.
    package var isUsable: Bool { connection.isUsable }

    /// The number the server knows the session by.
    package var clientID: Int64 { connection.clientID }

    /// Ends the subscription at once.
    package func close() {
        connection.close()
    }

    /// Waits for the next message.
    ///
    /// - Returns: The message; nil when the deadline passed, and the subscription goes on.
    /// - Throws: ``RedisError/interrupted``, after which it goes on too; other errors end it.
    package func receiveMessage(until deadline: Deadline) throws(RedisError) -> [UInt8]? {
        if let message = messages.takeFirst() { return message }
        do {
            while true {
                if let message = try message(in: connection.nextReply(until: deadline)) { return message }
            }
        } catch .timedOut {
            return nil
        }
    }

    /// Asks the server whether the session still stands; messages that come before the answer are kept.
    ///
    /// - Throws: When it doesn't answer in time, or is gone; the subscription has ended then.
    package func checkAlive(until deadline: Deadline) throws(RedisError) {
        connection.send(RedisCommand("PING"))
        while true {
            let reply = try connection.nextReply(until: deadline)
            if let message = try message(in: reply) {
                messages.append(message)
            } else if reply.count == 2 {
                connection.settleOldest()
                return
            }
        }
    }

    /// The payload when the reply is `["message", channel, payload]`; nil for the answer to `PING`, `["pong", ""]`.
    private func message(in reply: RedisReply) throws(RedisError) -> [UInt8]? {
        if let error = reply.error { throw .reply(error) }
        let parts = try reply.requireArray()
        guard parts.count == 3, try parts[0].requireString() == "message" else { return nil }
        return try parts[2].requireBytes()
    }
}
