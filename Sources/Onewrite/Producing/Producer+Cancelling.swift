import Connections
import Inspection
public import OrderLog
import RedisLog
import ThreadedIO

extension Producer {
    /// Submits the cancellation of an order, with the order's own lines, which every sink gives back.
    ///
    /// They are taken from Postgres, or from the log where Postgres has not applied the order yet. Who knows the lines can
    /// submit ``Change/orderCancelled(order:shop:lines:)`` at once.
    ///
    /// - Parameters:
    ///   - order: The order's ID.
    ///   - shop: Whose it is.
    ///   - durability: What makes it accepted; nil for what the configuration says.
    /// - Returns: The cancellation's receipt: a duplicate when the order is cancelled already.
    /// - Throws: ``LogError``: of the kind `no` when there is no such order, `tryAgain` when nobody who knows can be asked now;
    ///   ``FieldError`` for what can't be an ID; `CancellationError`.
    public func cancel(order: String, shop: String, durability: Durability? = nil) async throws -> Receipt {
        // Looks at the ID and the shop before they are looked for.
        let any = try Change.orderCancelled(order: order, shop: shop, lines: [Line(sku: "-", quantity: 1)])
        let lines: [Line]
        switch try await standing(of: order, shop) {
        case .placed(let placed, let returned) where returned.isEmpty: lines = placed
        case .cancelled(_, let partition, let place):
            guard let place, let entry = EntryID(place.entry), let epoch = place.epoch else {
                throw LogError(
                    .no, "order \(order) of shop \(shop) is cancelled, and the ledger has no entry that did it")
            }
            return Receipt(
                .duplicate, of: any, partition: partition, epoch: Epoch(Int64(epoch)), seq: Seq(Int64(place.seq)),
                entry: entry, durability: .applied)
        case let standing: throw standing.refusal(order: order, shop: shop) ?? LogError(.bug, "\(standing)")
        }
        return try await submit(
            try Change.orderCancelled(order: order, shop: shop, lines: lines), durability: durability)
    }

    private func standing(of order: String, _ shop: String) async throws -> OrderReader.Standing {
        let servers = Servers(configuration, name: "onewrite-producer")
        let interrupt = Interrupt()
        return try await withTaskCancellationHandler {
            do {
                return try await CommandLane("cancel").run { _ in
                    var patience = Patience(
                        servers.configuration.timeout, for: .allServers, interrupt: interrupt, notice: { _ in })
                    return try patience.attempt {
                        try OrderReader(servers, isSchemaNeeded: true).standing(
                            of: order.inNormalForm, ofShop: shop.inNormalForm)
                    }
                }
            } catch {
                try Task.checkCancellation()
                throw LogError(anyOf: error) ?? LogError(.bug, "\(error)")
            }
        } onCancel: {
            interrupt.signal()
        }
    }
}
