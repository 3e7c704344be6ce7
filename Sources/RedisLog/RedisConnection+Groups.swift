package import OrderLog
package import RedisClient

extension RedisConnection {
    /// The groups of the log, in the order in which they are told of.
    ///
    /// - Parameter keys: The log's.
    /// - Returns: The built-in ones.
    /// - Throws: `RedisError` when they can't be read.
    package func groups(_ keys: Keys) throws(RedisError) -> [Group] { Group.builtIn }
}
