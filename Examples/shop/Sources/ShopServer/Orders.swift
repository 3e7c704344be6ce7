import Hummingbird
import Onewrite

/// What the routes do.
struct Orders: Sendable {
    let producer: Producer
    let inspector: Inspector

    /// `POST /shops/main/orders` with the order's ID in `Idempotency-Key`: the same request again is the same order.
    ///
    /// With `Prefer: wait=5` the answer waits up to five seconds until Postgres has applied it, and then says
    /// `Preference-Applied: wait`: whoever reads now, reads it.
    @Sendable func place(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        guard let id = request.headers[.idempotencyKey] else {
            throw HTTPError(.badRequest, message: "an Idempotency-Key is wanted: a new one for each order")
        }
        let shop = try context.parameters.require("shop")
        let order = try await request.decode(as: NewOrder.self, context: context)
        let change = try checked {
            try Change.orderPlaced(
                id: id, shop: shop, customer: order.customer,
                lines: order.lines.map { Line(sku: $0.sku, quantity: $0.quantity) })
        }
        return try await answer(try await producer.submit(change), order: id, request, context)
    }

    /// `DELETE /shops/main/orders/ord-1001`: cancels it, with the lines that it was placed with.
    @Sendable func cancel(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let (shop, id) = (try context.parameters.require("shop"), try context.parameters.require("id"))
        let receipt = try await found { try await producer.cancel(order: id, shop: shop) }
        return try await answer(receipt, order: id, request, context)
    }

    /// `GET /shops/main/orders/ord-1001`: the order as Postgres has it.
    @Sendable func show(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let (shop, id) = (try context.parameters.require("shop"), try context.parameters.require("id"))
        let trail = try await found { try await inspector.order(id, shop: shop) }
        guard let stored = trail.stored else { throw HTTPError(.notFound) }
        let order = ShownOrder(
            id: id, status: stored.status, customer: stored.customer,
            lines: stored.lines.map { .init(sku: $0.sku, quantity: $0.quantity) })
        return try context.responseEncoder.encode(order, from: request, context: context)
    }

    private func answer(
        _ receipt: Receipt, order: String, _ request: Request, _ context: BasicRequestContext
    ) async throws -> Response {
        var response = try context.responseEncoder.encode(Outcome(receipt), from: request, context: context)
        response.status = receipt.outcome.status
        switch receipt.outcome {
        case .accepted, .duplicate:
            response.headers[.location] = "/shops/\(receipt.shop)/orders/\(order)"
            if let limit = request.waits, try await isApplied(receipt, within: limit) {
                response.headers[.preferenceApplied] = "wait"
            }
        case .unknown, .unsent: response.headers[.retryAfter] = "1"
        case .conflict, .refused, .rejected: break
        }
        return response
    }

    /// Whether Postgres has the change within that time.
    private func isApplied(_ receipt: Receipt, within limit: Duration) async throws -> Bool {
        do {
            try await producer.wait(for: receipt, in: [.postgres], within: limit)
            return true
        } catch is LogError {
            // It is in the log all the same.
            return false
        }
    }

    private func found<Answer>(_ ask: () async throws -> Answer) async throws -> Answer {
        do { return try await ask() } catch let error as LogError {
            if error.kind == .no { throw HTTPError(.notFound, message: error.message) }
            throw HTTPError(.serviceUnavailable, headers: [.retryAfter: "1"], message: error.message)
        } catch let error as FieldError {
            throw HTTPError(.unprocessableContent, message: "\(error)")
        }
    }

    private func checked(_ make: () throws -> Change) throws -> Change {
        do { return try make() } catch let error as FieldError {
            throw HTTPError(.unprocessableContent, message: "\(error)")
        }
    }
}

extension Receipt.Outcome {
    /// What HTTP calls it: only what may be sent again as it is has a status that clients repeat by themselves.
    var status: HTTPResponse.Status {
        switch self {
        case .accepted: .created
        case .duplicate: .ok
        case .conflict, .refused: .conflict
        case .rejected: .unprocessableContent
        case .unknown, .unsent: .serviceUnavailable
        }
    }
}
