/// Where an export has what, whichever way it is written.
package struct ExportShape: Sendable, Equatable {
    /// As a CSV; nil where none is known.
    package let rows: ExportMapping?
    /// As JSON; nil where none is known.
    package let objects: ExportMapping?

    package init(rows: ExportMapping?, objects: ExportMapping?) {
        (self.rows, self.objects) = (rows, objects)
    }

    /// The same for a CSV and for JSON.
    package init(_ mapping: ExportMapping) { self.init(rows: mapping, objects: mapping) }

    /// One that is changed, whichever way it is written.
    package func changed<Problem>(
        _ change: (inout ExportMapping) throws(Problem) -> Void
    ) throws(Problem) -> ExportShape {
        var (rows, objects) = (rows, objects)
        if var mapping = rows {
            try change(&mapping)
            rows = mapping
        }
        if var mapping = objects {
            try change(&mapping)
            objects = mapping
        }
        return ExportShape(rows: rows, objects: objects)
    }
}

/// Exports that are known.
package enum KnownExport: String, CaseIterable, Sendable {
    case shopify, woocommerce, magento, amazon, etsy, ebay

    package var shape: ExportShape { ExportShape(rows: rows, objects: objects) }

    /// Where its JSON has what, as webhooks and the REST API give it.
    ///
    /// Shopify: <https://shopify.dev/docs/api/admin-rest/latest/resources/order>;
    /// WooCommerce: <https://woocommerce.github.io/woocommerce-rest-api-docs/#order-properties>;
    /// Magento: <https://developer.adobe.com/commerce/webapi/rest/quick-reference/>
    private var objects: ExportMapping? {
        switch self {
        case .shopify:
            ExportMapping([
                .id: [.column("name")],
                .customer: [
                    .column("email"), .column("contact_email"), .column("customer.email"),
                    .column("billing_address.name"), .column("phone"),
                ],
                .sku: [.column("line_items.sku")], .name: [.column("line_items.name"), .column("line_items.title")],
                .quantity: [.column("line_items.quantity")], .cancelled: [.column("cancelled_at")],
                .refunded: [.column("financial_status", values: ["partially_refunded", "refunded"])],
            ])
        case .woocommerce:
            ExportMapping([
                .id: [.column("number"), .column("id")],
                .customer: [.column("billing.email"), .column("customer_id")],
                .sku: [.column("line_items.sku")], .name: [.column("line_items.name")],
                .quantity: [.column("line_items.quantity")],
                .cancelled: [.column("status", values: ["cancelled", "refunded", "failed"])],
                .refunded: [.column("refunds")],
            ])
        case .magento:
            ExportMapping([
                .id: [.column("increment_id")], .customer: [.column("customer_email"), .column("customer_id")],
                .sku: [.column("items.sku")], .name: [.column("items.name")],
                .quantity: [.column("items.qty_ordered")],
                .cancelled: [
                    .column("state", values: ["canceled", "closed"]),
                    .column("status", values: ["canceled", "closed"]),
                ],
                .refunded: [.column("total_refunded")],
                // A configurable product has the SKU of what was chosen, and that is there once more; a bundle isn't in stock,
                // and what it is made of is.
                .skip: [
                    .column("items.product_type", values: ["bundle"]),
                    .column("items.parent_item.product_type", values: ["configurable"]),
                ],
            ]).wrapped(in: "items")
                // Else what was chosen of a configurable product would count twice.
                .requiring("items.parent_item.product_type", with: "items.parent_item_id")
        case .amazon, .etsy, .ebay: nil
        }
    }

    /// Where its CSV has what.
    ///
    /// Learnt from the sellers' documentation and from files that people publish, which docs/exports.md names. Magento's own
    /// has no items, and what extensions write is of many kinds.
    private var rows: ExportMapping? {
        switch self {
        case .magento: nil
        case .shopify:
            ExportMapping([
                .id: [.column("Name")], .customer: [.column("Email"), .column("Billing Name"), .column("Phone")],
                .sku: [.column("Lineitem sku")], .name: [.column("Lineitem name")],
                .quantity: [.column("Lineitem quantity")], .cancelled: [.column("Cancelled at")],
                .refunded: [.column("Financial Status", values: ["partially_refunded", "refunded"])],
            ])
        case .woocommerce:
            ExportMapping([
                .id: [.column("order_number"), .column("order_id")],
                .customer: [.column("customer_email"), .column("billing_email"), .column("customer_id")],
                .sku: [.column("item_sku")], .name: [.column("item_name")], .quantity: [.column("item_quantity")],
                .cancelled: [
                    .column("status", values: ["cancelled", "wc-cancelled", "refunded", "wc-refunded", "failed"])
                ],
                .refunded: [.column("refunded_total")],
            ])
        case .amazon:
            ExportMapping([
                .id: [.column("order-id"), .column("amazon-order-id")],
                .customer: [.column("buyer-email"), .column("buyer-name")], .sku: [.column("sku")],
                .name: [.column("product-name"), .column("item-name")],
                .quantity: [.column("quantity-purchased"), .column("quantity")],
                .cancelled: [.column("order-status", values: ["cancelled", "canceled"])],
            ])
        case .etsy:
            ExportMapping([
                .id: [.column("Order ID")], .customer: [.column("Buyer"), .column("Ship Name")],
                .sku: [.column("SKU")], .name: [.column("Item Name")], .quantity: [.column("Quantity")],
            ])
        case .ebay:
            ExportMapping([
                .id: [.column("Order Number"), .column("Sales Record Number")],
                .customer: [.column("Buyer Username"), .column("Buyer Email")],
                .sku: [.column("Custom Label"), .column("Custom Label (SKU)")], .name: [.column("Item Title")],
                .quantity: [.column("Quantity")],
            ])
        }
    }
}
