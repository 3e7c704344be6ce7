package import OrderLog
package import PostgresClient

extension StoreError {
    /// The client's error in the domain's terms.
    package init(_ error: PostgresError) {
        let kind: Kind =
            switch error {
            case .connectionFailed:
                if error.isAboutRights {
                    .notPermitted
                } else if error.isRetriable {
                    // It is starting or stopping, or has no room for another session; else it can't be reached.
                    ["57", "53"].contains(error.sqlState?.prefix(2)) ? .busy : .unavailable
                } else if let state = error.sqlState, !["3D", "22", "42", "0A"].contains(state.prefix(2)) {
                    // Not about what the URL says: a pooler's catch-all, an internal error.
                    .unavailable
                } else {
                    .misconfigured
                }
            case .connectionLost, .timedOut: .unavailable
            case .invalidConfiguration: .misconfigured
            case .interrupted: .interrupted
            case .server(let error):
                switch error.sqlState {
                case _ where error.endsSession: .unavailable
                // A standby, or one that was told to take no writes.
                case "25006": .replica
                case "42501": .notPermitted
                default: .refused
                }
            case .invalidParameter, .malformed: .malformed
            }
        self.init(.postgres, kind, error.description, outcomeIsUnknown: error.outcomeIsUnknown)
    }
}

/// Runs calls of the client, and translates its errors once.
package func translatingPostgresErrors<Result>(
    _ body: () throws(PostgresError) -> Result
) throws(StoreError) -> Result {
    do throws(PostgresError) {
        return try body()
    } catch {
        throw StoreError(error)
    }
}
