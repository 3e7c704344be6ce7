import Foundation

extension String {
    /// In Unicode's normal form C, in which producers write names: who types "é" means the same, whatever the keyboard sends.
    ///
    /// Unicode: <https://www.unicode.org/reports/tr15/>
    package var inNormalForm: String {
        utf8.allSatisfy { $0 < 0x80 } ? self : precomposedStringWithCanonicalMapping
    }
}

extension ChangeDraft {
    /// With its names in normal form C; the other fields, and `lines` as a text, are as they were.
    package var inNormalForm: ChangeDraft {
        var draft = self
        draft.id = id?.inNormalForm
        draft.shop = shop?.inNormalForm
        draft.order = order?.inNormalForm
        if case .items(let items) = lines { draft.lines = .items(items.map { ($0.sku.inNormalForm, $0.quantity) }) }
        return draft
    }
}
