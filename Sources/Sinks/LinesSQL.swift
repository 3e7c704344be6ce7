/// SQL for SKUs in the text `lines`, where they are percent-encoded as `NameEncoding` says.
package enum LinesSQL {
    /// A SKU as it stands in `lines`.
    package static func encoded(_ sku: String) -> String {
        "replace(replace(replace(\(sku), '%', '%25'), ' ', '%20'), ':', '%3A')"
    }

    /// The SKU that a text in `lines` stands for.
    package static func decoded(_ text: String) -> String {
        "replace(replace(replace(\(text), '%3A', ':'), '%20', ' '), '%25', '%')"
    }
}
