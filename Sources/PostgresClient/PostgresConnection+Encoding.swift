import CLibpq

extension PostgresConnection {
    /// Why the database can't hold every name, and the command that makes one that can; nil when it is in UTF8, or a
    /// pooler doesn't tell.
    ///
    /// In another encoding the first name that it lacks fails (22P05), with all that comes behind it; `SQL_ASCII` takes
    /// bytes that are no text.
    ///
    /// Postgres: <https://www.postgresql.org/docs/15/multibyte.html>
    package var encodingTrouble: String? {
        guard let encoding = serverEncoding, encoding != "UTF8", isUsable else { return nil }
        let database = text(PQdb)
        var words = ["createdb"]
        for (option, value) in [("host", text(PQhost)), ("port", text(PQport)), ("username", text(PQuser))]
        where !value.isEmpty {
            words.append("--\(option)=\(Self.shellWord(value))")
        }
        // This locale is everywhere, and goes with every encoding; template0 may be copied in another one.
        words += ["--encoding=UTF8", "--locale=C", "--template=template0", Self.shellWord(database + "_utf8")]
        return
            "the database \(database) at Postgres \(address) is in \(encoding), and Onewrite needs UTF8, which holds "
            + "every name. Make another one, and point DATABASE_URL at it: \(words.joined(separator: " "))"
    }

    private func text(_ value: (OpaquePointer?) -> UnsafeMutablePointer<CChar>?) -> String {
        value(handle).map { String(cString: $0) } ?? ""
    }

    private static func shellWord(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "-")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
        }
        return isPlain ? text : "'\(text.replacing("'", with: #"'\''"#))'"
    }
}
