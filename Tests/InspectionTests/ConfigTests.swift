import Foundation
import TestSupport
import Testing

@testable import onewrite

@Suite("config")
struct ConfigTests {
    @Test("each setting is shown with its source, and no password in any form")
    func secrets() async throws {
        try await withServers { servers in
            let environment: [String: String?] = [
                "ONEWRITE_REDIS_URL": "redis://app:hun%40ter2@10.0.0.1:7000/3", "ONEWRITE_LEASE": nil,
                "DATABASE_URL": "postgres://app:hunter2@db/shop?sslmode=require&password=hunter3&sslpassword=hunter4",
            ]
            for arguments in [["config"], ["config", "--json"]] {
                let ran = try await runAlone(arguments + ["--schema", "mine"], servers, environment)
                #expect(ran.code == 0 && !(ran.output + ran.errors).contains("hun"))
            }
            let config = try await runAlone(["config", "--json", "--schema", "mine"], servers, environment).object()
            #expect(config.text("schema") == "onewrite/config/v1")
            func setting(_ key: String) throws -> [String: Any] {
                try #require(try config.objects("settings").first { $0.text("key") == key })
            }
            #expect(try setting("redis.url").text("value") == "redis://app:***@10.0.0.1:7000/3")
            #expect(try setting("redis.url").text("source") == "environment ONEWRITE_REDIS_URL")
            #expect(
                try setting("database.url").text("value")
                    == "postgres://app:***@db/shop?sslmode=require&password=***&sslpassword=***")
            #expect(try setting("schema").text("value") == "mine" && setting("schema").text("source") == "flag")
            #expect(try setting("lease").text("value") == "10s" && setting("lease").text("source") == "default")
            let keys = try config.objects("settings").compactMap { $0.text("key") }
            #expect(keys == Setting.all.map(\.key))
            let bare = try await runAlone(["config", "--json"], servers, ["DATABASE_URL": nil]).object()
            let database = try #require(try bare.objects("settings").first { $0.text("key") == "database.url" })
            #expect(database.isNull("value") && database.text("source") == "not set")
        }
    }

    @Test(
        "of an address that a client wouldn't take, or might take otherwise, nothing is shown",
        arguments: [
            "redis://hunter2@host", "redis://u:hunt@er2@host", "redis://u:hunt/er2@host", "redis://u:hunt?er2@host",
            "redis://u:hunt#er2@host", "hunter2", "rediss://u:hunter2@host", "redis://host/0?token=hunter2",
        ])
    func brokenRedis(url: String) {
        #expect(!RedactedURL(redis: url).text.contains("er2"))
    }

    @Test(
        "passwords of Postgres are found in URLs and in keywords, quoted and escaped",
        arguments: [
            "postgres://u:hunter2@h/d", "postgres://u:hunt@er2@h/d", "postgres://u:hunt/er2@h/d",
            "postgres://u@h/d?password=hunter2",
            "postgres://u@h/d?pass%77ord=hunter2", "host=h password=hunter2", "host=h password = 'x hunter2' user=u",
            #"password='a\' hunter2' host=h"#, #"password=a\ hunter2 host=h"#, "host=h hunter2", "sslpassword=hunter2",
        ])
    func postgresPasswords(text: String) {
        #expect(!RedactedURL(postgres: text).text.contains("er2"))
    }

    @Test("what is no secret stays readable")
    func readable() {
        #expect(
            RedactedURL(redis: "unix:///run/redis.sock?db=2&password=x").text
                == "unix:///run/redis.sock?db=2&password=***")
        #expect(RedactedURL(redis: "redis://:x@[::1]:7000/1").text == "redis://:***@[::1]:7000/1")
        #expect(RedactedURL(postgres: "host=h  user='a b' password=x").text == "host=h user='a b' password=***")
        #expect(
            RedactedURL(postgres: "postgresql:///d?host=/run&passfile=/p").text
                == "postgresql:///d?host=/run&passfile=/p")
    }

    @Test("completions are made for each shell, and the help says how", arguments: ["bash", "zsh", "fish"])
    func completions(shell: String) async throws {
        try await withServers { servers in
            let ran = try await runAlone(["--generate-completion-script", shell], servers)
            #expect(ran.code == 0 && ran.output.contains("pending") && ran.output.contains("dashboard"))
            #expect(try await runAlone(["--help"], servers).output.contains("--generate-completion-script"))
        }
    }
}
