package import OrderLog
package import PostgresClient

extension StoreError {
    /// The client's error in the domain's terms.
    package init(_ error: PostgresError) {
        let kind: Kind =
            switch error {
            case .connectionFailed(_, let sqlState, _): sqlState?.hasPrefix("28") == true ? .notPermitted : .unavailable
            case .connectionLost, .timedOut: .unavailable
            case .invalidConfiguration: .notPermitted
            case .interrupted: .interrupted
            case .server(let error):
                // 25006: a standby answers. The address may lead to the primary by now, on a new connection.
                error.endsSession || error.sqlState == "25006"
                    ? .unavailable : error.sqlState == "42501" ? .notPermitted : .refused
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
