import CLibpq

/// libpq's connection options, by keyword.
///
/// libpq: <https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-PQCONNINFOPARSE>
struct ConnectionOptions {
    private var values: [String: String] = [:]

    subscript(keyword: String) -> String? { values[keyword] }

    /// What `PG…` variables, the service file and the defaults say.
    static func environment() -> ConnectionOptions {
        let options = PQconndefaults()
        defer { PQconninfoFree(options) }
        return ConnectionOptions(values: values(of: options))
    }

    /// What the URL or keyword string says; nothing for nil.
    init(parsing url: String?) throws(PostgresError) {
        guard let url else { return }
        guard !url.utf8.contains(0) else { throw .invalidConfiguration(reason: "it contains a NUL") }
        try Self.rejectUnescapedCredentials(url)
        var message: UnsafeMutablePointer<CChar>?
        let options = PQconninfoParse(url, &message)
        defer {
            PQconninfoFree(options)
            PQfreemem(message)
        }
        guard options != nil else {
            // libpq quotes the URL, password and all: nothing after the first quotation mark may be shown, also where a combining
            // mark makes one character of the two.
            let reason = message.map { String(String(cString: $0).unicodeScalars.prefix { $0 != "\"" }) } ?? ""
            throw .invalidConfiguration(
                reason: reason.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                    + " … (expected postgres://user:password@host:port/database, or keyword=value pairs)")
        }
        values = Self.values(of: options)
        let ports = values["port"]?.split(separator: ",") ?? []
        guard ports.allSatisfy({ UInt16($0) != nil }) else {
            throw .invalidConfiguration(reason: "the port is not a number; \(Self.escapingHint)")
        }
    }

    private init(values: [String: String]) {
        self.values = values
    }

    private static func values(of options: UnsafeMutablePointer<PQconninfoOption>?) -> [String: String] {
        guard var option = options else { return [:] }
        var values: [String: String] = [:]
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return values
    }

    private static let escapingHint = "in a password write @ as %40, : as %3A, / as %2F and % as %25"

    /// A raw `@` or `/` in a password moves the rest of it into the host or the database, which are shown to people.
    private static func rejectUnescapedCredentials(_ url: String) throws(PostgresError) {
        guard PostgresConfiguration.isURL(url) else { return }
        var rest = url.unicodeScalars.drop { $0 != "/" }.dropFirst(2)
        if let end = rest.firstIndex(where: { $0 == "@" || $0 == "/" }), rest[end] == "@" {
            rest = rest[end...].dropFirst()
        }
        guard !rest.prefix(while: { $0 != "?" }).contains("@") else {
            throw .invalidConfiguration(reason: "it has an @ that belongs to no user; \(escapingHint)")
        }
    }
}
