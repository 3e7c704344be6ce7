/// A message of libpq's about a connection, on one line, and the SQLSTATE in it.
struct ConnectionMessage {
    let reason: String
    let sqlState: String?

    /// Takes apart what libpq says at `PQERRORS_VERBOSE`.
    ///
    /// It is the server's `FATAL:  28P01: …`, with lines of `LOCATION:` for Postgres's own developers.
    init(_ text: String) {
        var sqlState: String?
        let lines = text.split(separator: "\n").compactMap { line -> String? in
            let line = line.drop(while: \.isWhitespace)
            guard !line.isEmpty, !line.hasPrefix("LOCATION:") else { return nil }
            guard let match = line.firstMatch(of: /:  ([0-9A-Z]{5}):/) else { return String(line) }
            sqlState = String(match.1)
            return line.replacingCharacters(of: match.range)
        }
        reason = lines.joined(separator: "; ")
        self.sqlState = sqlState
    }
}

extension Substring {
    fileprivate func replacingCharacters(of range: Range<Index>) -> String {
        self[..<range.lowerBound] + ":" + self[range.upperBound...]
    }
}
