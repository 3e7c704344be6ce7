@testable import Dashboard
import Reports

extension FuzzTarget {
    /// What a terminal sends.
    static let keys = FuzzTarget("keys") { bytes in
        var (whole, inPieces) = (KeyParser(), KeyParser())
        let keys = whole.feed(bytes)
        try require(keys == bytes.pieces.flatMap { inPieces.feed($0) }, "pieces give other keys")
        try require(whole.flush() == inPieces.flush(), "another end")
        try require(!whole.isWaiting, "something waits for ever")
    }

    /// Text from a store, on its way to a terminal.
    static let terminalText = FuzzTarget("terminal-text") { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        let safe = sanitized(text)
        try require(sanitized(safe) == safe, "not the same when it is done twice")
        for scalar in safe.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                throw FuzzFinding("U+\(String(scalar.value, radix: 16)) comes through")
            default: break
            }
        }
        for width in [0, 1, 2, 7, 80] {
            let fitted = text.fitted(to: width)
            try require(fitted.columns == width, "\(fitted.columns) columns of \(width)")
        }
    }
}
