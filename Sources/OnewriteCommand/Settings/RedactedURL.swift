import Foundation
import PostgresClient
import RedisClient

/// An address with its secrets replaced by `***`.
///
/// Only what the client itself would understand is shown in part; of anything else nobody can tell where a password in
/// it begins, so nothing is shown.
struct RedactedURL {
    let text: String

    /// Clients look at bytes: to them a combining mark behind an `@` or a quotation mark makes no other character of it.
    private typealias Scalars = Substring.UnicodeScalarView

    private static let mark = "***"

    /// - Parameter url: Where Redis is.
    init(redis url: String) {
        do throws(RedisURLError) {
            _ = try RedisConfiguration(url: url)
            text = Self.redacted(url: url, isOfLibpq: false)
        } catch {
            text = Self.mark
        }
    }

    /// - Parameter string: Where Postgres is: a URL, or keywords and values.
    init(postgres string: String) {
        do throws(PostgresError) {
            _ = try PostgresConfiguration(url: string)
            text =
                PostgresConfiguration.isURL(string)
                ? Self.redacted(url: string, isOfLibpq: true) : Self.redacted(keywords: string)
        } catch {
            text = Self.mark
        }
    }

    /// libpq's options and Redis's that are secrets: `password`, `sslpassword`, `oauth_client_secret`, `scram_client_key`.
    private static func isSecret(_ name: some StringProtocol) -> Bool {
        let name = (name.removingPercentEncoding ?? String(name)).lowercased()
        return name.contains("pass") && name != "passfile" || name.contains("secret") || name.hasPrefix("scram_")
    }

    /// The URL with marks for its secrets; for libpq a user and password may hold a question mark, and end at the first `@`.
    private static func redacted(url: String, isOfLibpq: Bool) -> String {
        let url = url.unicodeScalars
        guard let colon = url.firstIndex(of: ":") else { return mark }
        var rest = url[url.index(after: colon)...]
        var text = String(url[...colon])
        if rest.starts(with: "//".unicodeScalars) {
            rest = rest.dropFirst(2)
            text += "//"
            let authority = rest.prefix { $0 != "/" && ($0 != "?" || isOfLibpq) }
            if let end = isOfLibpq ? authority.firstIndex(of: "@") : authority.lastIndex(of: "@") {
                let user = authority[..<end].prefix { $0 != ":" }
                text += String(user) + (user.endIndex < end ? ":" + mark : "")
                rest = rest[end...]
            }
        }
        let path = rest.prefix { $0 != "?" }
        text += String(path)
        if path.endIndex < rest.endIndex {
            let options = rest[path.endIndex...].dropFirst().split(separator: "&", omittingEmptySubsequences: false)
            text += "?" + options.map(redacted(option:)).joined(separator: "&")
        }
        return text
    }

    private static func redacted(option: Scalars) -> String {
        let name = String(option.prefix { $0 != "=" })
        return isSecret(name) ? "\(name)=\(mark)" : String(option)
    }

    /// Splits as libpq does.
    ///
    /// libpq: <https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING>
    private static func redacted(keywords string: String) -> String {
        var rest = string.unicodeScalars[...]
        var options: [String] = []
        while true {
            rest = rest.drop(while: isBlank)
            if rest.isEmpty { return options.joined(separator: " ") }
            let name = rest.prefix { $0 != "=" && !isBlank($0) }
            rest = rest[name.endIndex...].drop(while: isBlank)
            guard rest.first == "=" else { return mark }
            rest = rest.dropFirst().drop(while: isBlank)
            let value = Self.value(at: &rest)
            options.append("\(String(name))=\(isSecret(String(name)) ? mark : String(value))")
        }
    }

    /// What libpq takes for white space.
    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool { scalar == " " || ("\t"..."\r").contains(scalar) }

    /// Takes a value off, which may be quoted, with what a backslash protects in it.
    private static func value(at rest: inout Scalars) -> Scalars {
        let start = rest
        let isQuoted = rest.first == "'"
        if isQuoted { rest.removeFirst() }
        while let scalar = rest.first, isQuoted ? scalar != "'" : !isBlank(scalar) {
            rest.removeFirst()
            if scalar == "\\", !rest.isEmpty { rest.removeFirst() }
        }
        if isQuoted, !rest.isEmpty { rest.removeFirst() }
        return start[..<rest.startIndex]
    }
}
