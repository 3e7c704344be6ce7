package import OrderLog
package import RedisClient

extension StoreError {
    /// The client's error in the domain's terms.
    package init(_ error: RedisError) {
        let kind: Kind =
            switch error {
            case .connectionFailed, .connectionLost, .timedOut: .unavailable
            case .nodeFailed: .partUnavailable
            case .sessionFailed(_, _, let passes): passes ? .busy : .misconfigured
            case .tlsFailed: .misconfigured
            case .isReplica: .replica
            case .authenticationFailed: .notPermitted
            case .interrupted: .interrupted
            case .protocolViolation: .malformed
            case .reply(let reply):
                switch reply.code {
                case _ where reply.isAboutRights: .notPermitted
                case "NOGROUP": .groupMissing
                // A master that became a replica, mostly.
                case "READONLY": .replica
                case "LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN": .busy
                default: .refused
                }
            }
        self.init(.redis, kind, error.description, outcomeIsUnknown: error.outcomeIsUnknown)
    }
}

/// Runs calls of the client, and translates its errors once.
package func translatingRedisErrors<Result>(_ body: () throws(RedisError) -> Result) throws(StoreError) -> Result {
    do throws(RedisError) {
        return try body()
    } catch {
        throw StoreError(error)
    }
}
