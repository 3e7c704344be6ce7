import Foundation
@testable import OnewriteCommand
@testable import PostgresClient
@testable import RedisClient

extension FuzzTarget {
    /// What people write where an address of Redis belongs; `SECRET` in it is a password, if it can be.
    static let redisURLs = FuzzTarget("redis-urls") { bytes in
        guard let url = String(validating: bytes, as: UTF8.self) else { return }
        let shown = RedactedURL(redis: url).text
        let settings: RedisConfiguration
        do throws(RedisURLError) {
            settings = try RedisConfiguration(url: url)
        } catch {
            try require(shown == "***", "a URL that can't be used is shown: \(shown)")
            return try require(!error.description.contains(secret), "an error repeats the URL")
        }
        try requireSecret(in: [settings.password, settings.sentinelPassword], of: url, isNotIn: [shown])
    }

    /// The same of Postgres.
    static let postgresURLs = FuzzTarget("postgres-urls") { bytes in
        guard let url = String(validating: bytes, as: UTF8.self) else { return }
        let shown = RedactedURL(postgres: url).text
        let (settings, options): (PostgresConfiguration, ConnectionOptions)
        do throws(PostgresError) {
            (settings, options) = (try PostgresConfiguration(url: url), try ConnectionOptions(parsing: url))
        } catch {
            try require(shown == "***", "a URL that can't be used is shown: \(shown)")
            return try require(!"\(error)".contains(secret), "an error repeats the URL")
        }
        try requireSecret(
            in: [options["password"], options["sslpassword"]], of: url,
            isNotIn: [shown, settings.address, "\(settings)"])
    }

    private static let secret = "SECRET"

    private static func requireSecret(
        in passwords: [String?], of url: String, isNotIn texts: [String]
    ) throws(FuzzFinding) {
        // Who writes it twice may have meant something else with one of them.
        guard url.ranges(of: secret).count == 1, url.removingPercentEncoding?.ranges(of: secret).count ?? 1 == 1 else {
            return
        }
        guard passwords.contains(where: { $0?.contains(secret) == true }) else { return }
        for text in texts { try require(!text.contains(secret), "the password is shown: \(text)") }
    }

    /// A configuration file.
    static let configuration = FuzzTarget("configuration") { bytes in
        let file = ConfigurationFile.read(Data(bytes), of: "onewrite.json")
        try require(file.values.keys.allSatisfy { key in Setting.all.contains { $0.key == key } }, "no setting's value")
        let settings = Settings(flags: file.values, file: "/dev/null", environment: [:])
        for setting in Setting.all { try? setting.check(settings) }
    }
}
