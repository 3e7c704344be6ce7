/// Makes text from a store safe and measurable before a terminal sees it.
///
/// Control, bidi and other invisible characters could move the cursor, repaint the screen or turn words around; each
/// becomes `�`, so that two names which differ only in them still look different. Every kind of space becomes a plain one,
/// variation selectors go, at most two combining marks stay on a letter, and very long text ends in `…`.
/// Applying it twice changes nothing.
///
/// Unicode on why: <https://www.unicode.org/reports/tr36/#visual_spoofing>
package func sanitized(_ text: String) -> String {
    if text.utf8.count <= sanitizedScalarsMax, text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) { return text }
    var safe = String.UnicodeScalarView()
    var marks = marksMax
    for (index, scalar) in text.unicodeScalars.enumerated() {
        if index >= sanitizedScalarsMax {
            if safe.last != "…" { safe.append("…") }
            break
        }
        // Our own frames and bars, drawn at every moment, need no look into the tables.
        if (0x20..<0x7F).contains(scalar.value) || (0x2500..<0x2600).contains(scalar.value) {
            marks = 0
            safe.append(scalar)
            continue
        }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .spacingMark:
            // A mark without a letter before it counts as one too many.
            guard marks < marksMax, !scalar.properties.isVariationSelector else { continue }
            marks += 1
            safe.append(scalar)
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            marks = marksMax
            safe.append("\u{FFFD}")
        case .spaceSeparator:
            marks = marksMax
            safe.append(" ")
        default:
            marks = 0
            safe.append(scalar)
        }
    }
    return String(safe)
}

/// A screen is far narrower; the rest would only cost time at every frame.
private let sanitizedScalarsMax = 1024

/// Real scripts stack two at most; towers of marks leak into the lines above.
private let marksMax = 2
