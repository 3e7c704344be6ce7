import CLibpq
import Glibc
import ThreadedIO

/// Asks the server to cancel what a connection executes.
///
/// PQcancel opens a connection of its own and blocks without any deadline: a server that is stopped would hold the lane
/// for ever. So it gets a thread for its short life.
///
/// libpq: <https://www.postgresql.org/docs/15/libpq-cancel.html>
final class CancelRequest {
    /// Only the thread uses it, and PQcancel reads a copy of the connection's address, never the connection.
    private let handle: OpaquePointer
    private let done = Interrupt()

    /// Sends the request; nil when there is no memory or thread left.
    init?(for connection: OpaquePointer) {
        guard let handle = PQgetCancel(connection) else { return nil }
        self.handle = handle
        let context = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<CancelRequest>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            context.release()
            return nil
        }
        pthread_detach(thread)
    }

    deinit {
        PQfreeCancel(handle)
    }

    /// Waits until the request can't reach the server any more; false when that is after the deadline.
    func isDone(by deadline: Deadline) -> Bool {
        done.wait(until: deadline) == .interrupted
    }

    private func run() {
        // Whether it arrived shows in the statement's answer.
        var message: [CChar] = Array(repeating: 0, count: 256)
        PQcancel(handle, &message, 256)
        done.signal()
    }
}
