import Hummingbird
import Logging
import NIOCore
import Onewrite

/// An HTTP server that takes orders and cancellations, and tells what became of them.
///
/// - Parameters:
///   - log: Where the log is. Its `timeout` bounds how long a request waits for servers that are away.
///   - address: Where to listen.
///   - logger: Takes what the producer waits for.
///   - onRunning: Takes the port, once it listens.
/// - Returns: The server; running it runs the producer too, which settles what was submitted before it ends.
public func shopServer(
    _ log: LogConfiguration, address: BindAddress, logger: Logger,
    onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
) -> some ApplicationProtocol {
    let producer = Producer(log, logger: logger)
    let orders = Orders(producer: producer, inspector: Inspector(log, name: "shop"))
    let router = Router()
    router.post("shops/:shop/orders", use: orders.place)
    router.get("shops/:shop/orders/:id", use: orders.show)
    router.delete("shops/:shop/orders/:id", use: orders.cancel)
    var application = Application(
        router: router, configuration: .init(address: address),
        onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? 0) }, logger: logger)
    application.addServices(producer)
    return application
}
