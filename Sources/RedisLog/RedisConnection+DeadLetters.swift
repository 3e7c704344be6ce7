package import OrderLog
package import RedisClient
import ThreadedIO

extension RedisConnection {
    /// Lets a dead letter's change be appended again, under the ID that it had.
    ///
    /// The append itself is what counts: repeated before it, this changes nothing; repeated behind it, the ID is known at
    /// its new place, and stays known.
    ///
    /// - Parameters:
    ///   - change: The dead letter's change.
    ///   - seq: Its place, which every sink has set aside.
    ///   - partition: Where.
    ///   - keys: The log's keys.
    /// - Throws: ``RedisError``.
    package func forget(
        _ change: Change, at seq: Seq, in partition: Partition, _ keys: Keys
    ) throws(RedisError) {
        let name = NameEncoding.windowName(shop: change.shop, id: change.id)
        var arguments: RedisArguments = [name, NameEncoding.windowHash(name)]
        arguments.append(Digest(of: change))
        arguments.append(seq.description)
        _ = try evaluate(
            Scripts.forget, keys: [keys.seen(partition), keys.seenBefore(partition)],
            arguments: arguments, until: .after(StreamLog.timeout)
        ).requireInteger()
    }
}
