import CLibpq

extension PostgresServerError {
    /// Reads the server's error out of a result; nil when the error is libpq's own.
    init?(_ result: ResultOwner, mayCommit: Bool) {
        func field(_ code: Character) -> String? {
            guard let ascii = code.asciiValue else { return nil }
            return PQresultErrorField(result.pointer, Int32(ascii)).map { String(cString: $0) }
        }
        // PG_DIAG_SQLSTATE and its kin are macros of character constants, which aren't imported.
        guard let sqlState = field("C") else { return nil }
        self.sqlState = sqlState
        message = Self.withoutValues(field("M") ?? "", sqlState: sqlState)
        table = field("t")
        constraint = field("n")
        endsSession = ["FATAL", "PANIC"].contains(field("V") ?? field("S"))
        outcomeIsUnknown = endsSession && mayCommit
    }

    /// Class 22, data exception, quotes the value that it complains of.
    private static func withoutValues(_ message: String, sqlState: String) -> String {
        // By scalars: with a combining mark behind it a quotation mark is another character.
        let scalars = message.unicodeScalars
        guard sqlState.hasPrefix("22"), let first = scalars.firstIndex(of: "\""),
            let last = scalars.lastIndex(of: "\"")
        else { return message }
        return String(scalars[..<first]) + "…" + String(scalars[last...].dropFirst())
    }
}
