// How an application makes changes. Names are brought into Unicode's normal form C.
extension Change {
    /// An order.
    ///
    /// - Parameters:
    ///   - id: The order's, which makes submitting it again harmless.
    ///   - shop: Whose order it is.
    ///   - customer: Who ordered.
    ///   - lines: 1 to 100.
    ///   - attributes: A JSON object that goes to the stores untouched.
    /// - Returns: The change, checked.
    /// - Throws: ``FieldError`` for the first field that can't be taken.
    public static func orderPlaced(
        id: String, shop: String, customer: String, lines: [Line], attributes: String? = nil
    ) throws(FieldError) -> Change {
        try Change(
            ChangeDraft(id: id, shop: shop, customer: customer, lines: drafts(lines), attributes: attributes)
                .inNormalForm)
    }

    /// The cancellation of an order.
    ///
    /// - Parameters:
    ///   - order: The order's ID.
    ///   - shop: Whose order it is.
    ///   - lines: The order's own, which every sink gives back.
    /// - Returns: The change, checked.
    /// - Throws: ``FieldError`` for the first field that can't be taken.
    public static func orderCancelled(order: String, shop: String, lines: [Line]) throws(FieldError) -> Change {
        try Change(
            ChangeDraft(type: Kind.orderCancelled.rawValue, shop: shop, order: order, lines: drafts(lines)).inNormalForm
        )
    }

    /// What came back of an order.
    ///
    /// - Parameters:
    ///   - order: The order's ID.
    ///   - number: The how manieth return of this order it is, from 1: makes submitting it again harmless.
    ///   - shop: Whose order it is.
    ///   - lines: What came back, at most what was ordered.
    /// - Returns: The change, checked.
    /// - Throws: ``FieldError`` for the first field that can't be taken.
    public static func orderReturned(
        order: String, number: Int, shop: String, lines: [Line]
    ) throws(FieldError) -> Change {
        try Change(
            ChangeDraft(
                type: Kind.orderReturned.rawValue, id: returnID(number, of: order), shop: shop, order: order,
                lines: drafts(lines)
            ).inNormalForm)
    }

    /// Stock that came in.
    ///
    /// - Throws: ``FieldError`` for the first field that can't be taken.
    public static func stockReceived(id: String, shop: String, lines: [Line]) throws(FieldError) -> Change {
        try Change(
            ChangeDraft(type: Kind.stockReceived.rawValue, id: id, shop: shop, lines: drafts(lines)).inNormalForm)
    }

    /// Stock as somebody counted it.
    ///
    /// - Throws: ``FieldError`` for the first field that can't be taken.
    public static func stockCounted(id: String, shop: String, lines: [Line]) throws(FieldError) -> Change {
        try Change(
            ChangeDraft(type: Kind.stockCounted.rawValue, id: id, shop: shop, lines: drafts(lines)).inNormalForm)
    }

    private static func drafts(_ lines: [Line]) -> ChangeDraft.DraftLines {
        .items(lines.map { ($0.sku, String($0.quantity)) })
    }
}
