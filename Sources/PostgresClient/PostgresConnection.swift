import CLibpq
import Faults
package import ThreadedIO

/// A connection to Postgres, or to a pooler in front of it, for one thread at a time.
///
/// It leaves nothing in a session that others may get: settings hold for a transaction, and are sent with each.
///
/// It is meant as the state of an actor on a ``ThreadedIO/ThreadExecutor``: every call blocks its thread in `poll(2)` until it is
/// done, its deadline passes, or ``interrupt`` is signalled. A statement stopped so is cancelled at the server; when the
/// server confirms that, the connection stays usable. It never reconnects and never sends anything twice.
///
/// libpq: <https://www.postgresql.org/docs/15/libpq-async.html>
package final class PostgresConnection {
    /// The server's version, such as `15.18`.
    package let serverVersion: String
    /// The encoding of the database, such as `UTF8` or `SQL_ASCII`; nil when it wasn't said, as through some poolers.
    package let serverEncoding: String?
    /// The server process of this session, as in `pg_stat_activity.pid`.
    package let processID: Int32
    /// Where the connection leads, for people.
    package var address: String { configuration.address }
    /// How the connection is encrypted: TLS's version, as `TLSv1.3`, and the cipher's name; nil when it is not.
    ///
    /// Through a pooler it is the way to that which is told of.
    package let encryption: (version: String, cipher: String)?
    /// Whether the server is on this machine; false when that can't be told.
    package let isOnThisMachine: Bool
    /// Ends every wait from another thread, for as long as it is signalled.
    ///
    /// COMMIT and ROLLBACK pass over it. Set it to nil for what must finish.
    package var interrupt: Interrupt?

    let configuration: PostgresConfiguration
    /// The statement that each transaction begins with.
    let prelude: Request
    /// libpq's connection; nil once closed.
    private(set) var handle: OpaquePointer?
    /// The statement that is sent, and whose answer isn't read to its end.
    var flight: Flight?
    /// What is known of the server's session behind the connection.
    var session = Session()

    /// Connects.
    ///
    /// - Parameters:
    ///   - configuration: Where, and with what settings.
    ///   - deadline: When to give up; ``PostgresConfiguration/connectTimeout`` may be sooner.
    ///   - interrupt: What ends every wait of this connection from outside.
    /// - Throws: ``PostgresError/connectionFailed(address:sqlState:reason:)`` and the like; nothing remains open.
    ///
    /// libpq: <https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-PQCONNECTSTARTPARAMS>
    package init(
        connectingTo configuration: PostgresConfiguration, until deadline: Deadline, interrupt: Interrupt?
    ) throws(PostgresError) {
        prelude = try Request(configuration.prelude)
        let handle = try Self.connect(
            to: configuration, until: min(deadline, .after(configuration.connectTimeout)), interrupt: interrupt)
        let version = PQparameterStatus(handle, "server_version").map { String(cString: $0) } ?? ""
        serverVersion = String(version.prefix { $0 != " " })
        serverEncoding = PQparameterStatus(handle, "server_encoding").map { String(cString: $0) }
        processID = PQbackendPID(handle)
        encryption = Self.encryption(of: handle)
        isOnThisMachine = ThreadedIO.isOnThisMachine(peerOf: PQsocket(handle))
        self.configuration = configuration
        self.interrupt = interrupt
        self.handle = handle
        Faults.register(PQsocket(handle))
    }

    deinit {
        close()
    }

    /// Whether the session stands, as far as this side knows.
    package var isUsable: Bool {
        handle.map { PQstatus($0) == CONNECTION_OK } ?? false
    }

    /// Whether a statement was sent whose answer isn't received yet.
    package var hasStatementUnderWay: Bool { flight != nil }

    /// Whether a transaction is open, failed or not.
    package var isInTransaction: Bool {
        handle.map { [PQTRANS_INTRANS, PQTRANS_INERROR].contains(PQtransactionStatus($0)) } ?? false
    }

    /// Ends the session; the server rolls an open transaction back.
    package func close() {
        flight = nil
        if let handle { Faults.unregister(PQsocket(handle)) }
        PQfinish(handle)
        handle = nil
    }

    private static func connect(
        to configuration: PostgresConfiguration, until deadline: Deadline, interrupt: Interrupt?
    ) throws(PostgresError) -> OpaquePointer {
        func failed(_ text: String) -> PostgresError {
            let message = ConnectionMessage(text)
            if let refusal = PoolerRefusal(message.reason) { return .invalidConfiguration(reason: refusal.text) }
            return .connectionFailed(
                address: configuration.address, sqlState: message.sqlState, reason: message.reason)
        }
        guard let handle = try start(configuration) else { throw failed("out of memory") }
        do throws(PostgresError) {
            // The only way to learn the SQLSTATE of a refused connection.
            PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
            // libpq's own receiver writes to stderr.
            PQsetNoticeReceiver(handle, { _, _ in }, nil)
            var polling = PQstatus(handle) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
            while polling != PGRES_POLLING_OK {
                guard polling != PGRES_POLLING_FAILED else { throw failed(String(cString: PQerrorMessage(handle))) }
                let interest: Interest = polling == PGRES_POLLING_READING ? .reading : .writing
                switch wait(for: interest, on: PQsocket(handle), until: deadline, interrupt: interrupt) {
                case .ready: polling = PQconnectPoll(handle)
                case .timedOut: throw failed("no answer in time")
                case .interrupted: throw PostgresError.interrupted(outcomeIsUnknown: false)
                }
            }
            guard PQsetnonblocking(handle, 1) == 0 else { throw failed(String(cString: PQerrorMessage(handle))) }
            return handle
        } catch {
            PQfinish(handle)
            throw error
        }
    }

    /// What libpq says of the connection's TLS.
    ///
    /// libpq: <https://www.postgresql.org/docs/15/libpq-status.html#LIBPQ-PQSSLATTRIBUTE>
    private static func encryption(of handle: OpaquePointer) -> (version: String, cipher: String)? {
        guard PQsslInUse(handle) != 0 else { return nil }
        func attribute(_ name: String) -> String { PQsslAttribute(handle, name).map { String(cString: $0) } ?? "?" }
        return (attribute("protocol"), attribute("cipher"))
    }

    private static func start(_ configuration: PostgresConfiguration) throws(PostgresError) -> OpaquePointer? {
        // Lists of C strings that end in a null pointer.
        let keywords = try configuration.keywords()
        let names = try ParameterBuffer(keywords.map { .text($0.keyword) } + [.null])
        let values = try ParameterBuffer(keywords.map { .text($0.value) } + [.null])
        return names.withPointers { _, names, _, _ in
            values.withPointers { _, values, _, _ in PQconnectStartParams(names, values, 1) }
        }
    }
}
