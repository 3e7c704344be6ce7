import Foundation
import PostgresClient
import RedisClient

/// An address with its secrets replaced by `***`.
///
/// Only what the client itself would understand is shown in part; of anything else nobody can tell where a password in
/// it begins, so nothing is shown.
struct RedactedURL {
    let text: String

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
        guard let colon = url.firstIndex(of: ":") else { return mark }
        var rest = url[url.index(after: colon)...]
        var text = String(url[...colon])
        if rest.hasPrefix("//") {
            rest = rest.dropFirst(2)
            text += "//"
            let authority = rest.prefix { $0 != "/" && ($0 != "?" || isOfLibpq) }
            if let end = isOfLibpq ? authority.firstIndex(of: "@") : authority.lastIndex(of: "@") {
                let user = authority[..<end].prefix { $0 != ":" }
                text += user + (user.endIndex < end ? ":" + mark : "")
                rest = rest[end...]
            }
        }
        let path = rest.prefix { $0 != "?" }
        text += path
        if path.endIndex < rest.endIndex {
            let options = rest[path.endIndex...].dropFirst().split(separator: "&", omittingEmptySubsequences: false)
            text += "?" + options.map(redacted(option:)).joined(separator: "&")
        }
        return text
    }

    private static func redacted(option: Substring) -> String {
        let name = option.prefix { $0 != "=" }
        return isSecret(name) ? "\(name)=\(mark)" : String(option)
    }

    /// Splits as libpq does.
    ///
    /// libpq: <https://www.postgresql.org/docs/15/libpq-connect.html#LIBPQ-CONNSTRING>
    private static func redacted(keywords string: String) -> String {
        var rest = Substring(string)
        var options: [String] = []
        while true {
            rest = rest.drop(while: \.isWhitespace)
            if rest.isEmpty { return options.joined(separator: " ") }
            let name = rest.prefix { $0 != "=" && !$0.isWhitespace }
            rest = rest[name.endIndex...].drop(while: \.isWhitespace)
            guard rest.first == "=" else { return mark }
            rest = rest.dropFirst().drop(while: \.isWhitespace)
            let value = Self.value(at: &rest)
            options.append("\(name)=\(isSecret(name) ? mark : String(value))")
        }
    }

    /// Takes a value off, which may be quoted, with what a backslash protects in it.
    private static func value(at rest: inout Substring) -> Substring {
        let start = rest
        let isQuoted = rest.first == "'"
        if isQuoted { rest.removeFirst() }
        while let character = rest.first, isQuoted ? character != "'" : !character.isWhitespace {
            rest.removeFirst()
            if character == "\\", !rest.isEmpty { rest.removeFirst() }
        }
        if isQuoted, !rest.isEmpty { rest.removeFirst() }
        return start[..<rest.startIndex]
    }
}
