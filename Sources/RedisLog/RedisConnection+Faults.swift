import Faults
import OrderLog
import RedisClient
import ThreadedIO

extension RedisConnection {
    /// Runs a script, with a fault point while the answer is awaited.
    ///
    /// - Parameters:
    ///   - script: Which.
    ///   - names: Its keys.
    ///   - arguments: Its arguments.
    ///   - point: Where a test can make this process fail.
    ///   - meanwhile: What else there is to do while the server runs the script; it may use the same connection.
    /// - Returns: The script's reply.
    /// - Throws: ``StoreError``, or a fault that a test injected.
    func evaluate(
        _ script: RedisScript, _ names: [String], _ arguments: RedisArguments, sent point: FaultPoint,
        _ meanwhile: () async -> Void = {}
    ) async throws -> RedisReply {
        let deadline = Deadline.after(StreamLog.timeout)
        try translatingRedisErrors { () throws(RedisError) in
            try load(script, until: deadline)
            sendEvaluate(script, keys: names, arguments: arguments)
            try flush(until: deadline)
        }
        try Faults.pass(point)
        await meanwhile()
        return try translatingRedisErrors { () throws(RedisError) in
            let reply = try receive(until: deadline)
            guard let error = reply.error else { return reply }
            guard error.isMissingScript else { throw .reply(error.refusing(in: script)) }
            return try evaluate(script, keys: names, arguments: arguments, until: deadline)
        }
    }
}
