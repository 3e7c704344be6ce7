public import OrderLog
public import Tracing

extension Change {
    /// The order with its trace's context among its attributes, so that the spans of its effects lead back to it.
    ///
    /// Attributes are a part of what is submitted: make this once, keep it, and submit it again as it is. The same order with
    /// another trace is another payload, and a conflict.
    ///
    /// - Parameter context: Of the span that the order belongs to; nil for the task's own.
    /// - Returns: The order; the same when there is no tracer, when it has such attributes, or when it is no order.
    /// - Throws: ``FieldError`` when the attributes become too long.
    public func carryingTrace(_ context: ServiceContext? = nil) throws(FieldError) -> Change {
        guard kind == .orderPlaced, let customer, let context = context ?? .current,
            let attributes = TraceCarrier.adding(context, to: attributes), attributes != self.attributes
        else { return self }
        return try Change(
            ChangeDraft(id: id, shop: shop, customer: customer, lines: .text(lines.text), attributes: attributes))
    }
}
