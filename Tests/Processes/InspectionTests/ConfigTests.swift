import Foundation
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

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
            "postgres://u:hunter2?x@h/d", "postgres://u:hunter2@\u{301}h/d", "postgres://\u{301}u:hunter2@h/d",
            "password='hunter2'\u{301}",
            "host=h\u{301} password=\u{301}hunter2", "postgres://u:x@h/d?password=hunter2@",
            "host=h password=x://hunter2 user=u",
            "host=h password=postgres://u:hunter2@h",
        ])
    func postgresPasswords(text: String) {
        #expect(!RedactedURL(postgres: text).text.contains("er2"))
    }

    @Test("what is no secret stays readable")
    func readable() {
        #expect(
            RedactedURL(redis: "unix:///run/redis.sock?db=2&password=x").text
                == "unix:///run/redis.sock?db=2&password=***")
        #expect(RedactedURL(redis: "unix:/redis.sock?password=a://b@c").text == "unix:/redis.sock?password=***")
        #expect(RedactedURL(redis: "redis://:x@[::1]:7000/1").text == "redis://:***@[::1]:7000/1")
        #expect(RedactedURL(postgres: "host=h  user='a b' password=x").text == "host=h user='a b' password=***")
        #expect(
            RedactedURL(postgres: "postgresql:///d?host=/run&passfile=/p").text
                == "postgresql:///d?host=/run&passfile=/p")
    }

    // MARK: - Secrets in files

    @Test(
        "an address may be in a file that the environment names; its own variable wins, and the password is not shown")
    func secretFiles() async throws {
        try await withConfiguration("redis://app:hunter2@10.0.0.1:7000/3\n") { path, servers in
            let plain: [String: String?] = ["ONEWRITE_REDIS_URL": nil, "REDIS_URL": nil, "REDIS_URL_FILE": path]
            for (environment, value, source) in [
                (plain, "redis://app:***@10.0.0.1:7000/3", "file \(path) (REDIS_URL_FILE)"),
                (plain.merging(["REDIS_URL": "redis://h/1"]) { $1 }, "redis://h/1", "environment REDIS_URL"),
                (
                    plain.merging(["ONEWRITE_REDIS_URL_FILE": path, "REDIS_URL": "redis://h/1"]) { $1 },
                    "redis://app:***@10.0.0.1:7000/3", "file \(path) (ONEWRITE_REDIS_URL_FILE)"
                ),
            ] {
                let ran = try await runAlone(["config", "--json"], servers, environment)
                #expect(ran.code == 0 && !(ran.output + ran.errors).contains("hunter2"), "\(ran.errors)")
                let redis = try #require(try ran.object().objects("settings").first { $0.text("key") == "redis.url" })
                #expect(redis.text("value") == value && redis.text("source") == source)
            }
        }
    }

    @Test("with its addresses in files a command does its work")
    func secretFilesServe() async throws {
        try await withServers { servers in
            let directory = try await PrivateDirectory()
            var environment: [String: String?] = [:]
            for (name, url) in [("REDIS_URL", servers.redis.url), ("DATABASE_URL", servers.postgres.url)] {
                let path = "\(directory.path)/\(name)"
                try Data((url + "\n").utf8).write(to: URL(filePath: path))
                environment.merge([name: nil, "ONEWRITE_" + name: nil, name + "_FILE": path]) { $1 }
            }
            let ran = try await runAlone(["init"], servers, environment)
            #expect(ran.code == 0 && ran.output.hasPrefix("ready:"), "\(ran.errors)")
            await directory.remove()
        }
    }

    @Test("a file that is named and is of no use is refused with its name, and no default stands for it")
    func uselessSecretFiles() async throws {
        try await withConfiguration("\n") { path, servers in
            let cases = [
                (path, "holds no secret: expected one line"), (path + "x", "can't be read: No such file or directory"),
                ("/", "can't be read"),
                ("/dev/zero", "holds no secret: expected a line of at most 4096 bytes, in UTF-8"),
            ]
            for (file, why) in cases {
                let environment: [String: String?] = [
                    "ONEWRITE_REDIS_URL": nil, "REDIS_URL": nil, "REDIS_URL_FILE": file,
                ]
                let ran = try await runAlone(["status"], servers, environment)
                #expect(
                    ran.code == 78
                        && ran.errors == "error: REDIS_URL_FILE in the environment: the file \(file) \(why)\n",
                    "\(ran.errors)")
            }
        }
    }

    // MARK: - What is wrong

    @Test("a name in the file that no setting has is named with line and the right one, whatever the command")
    func mistypedInFile() async throws {
        let file = """
            {
              "databse": { "url": "postgres://u:hunter2@h/d" },
              "lease": true, "redis.url": "redis://h",
              "namespace": "mine"
            }
            """
        try await withConfiguration(file) { path, servers in
            for arguments in [["status"], ["submit", "-"], ["init"], ["config"]] {
                let ran = try await runAlone(arguments + ["--config", path], servers)
                #expect(ran.code == 78, "\(ran.errors)")
                let place = "\(path):2: there is no setting \"databse.url\". Did you mean database.url?"
                #expect(ran.errors.contains(place), "\(ran.errors)")
                #expect(ran.errors.contains("\(path):3: lease: expected a text or a whole number"))
                #expect(ran.errors.contains(#"Write it as {"redis":{"url":…}}"#))
                #expect(!(ran.output + ran.errors).contains("hunter2"))
            }
            let config = try #require(
                try await runAlone(["config", "--json", "--config", path], servers).objects().first)
            #expect(try config.objects("problems").map { $0.text("name") } == ["databse.url", "lease", "redis.url"])
            #expect(try config.objects("problems").allSatisfy { $0["refused"] as? Bool == true })
        }
    }

    @Test(
        "a file that is missing or no JSON object is named, and config shows the rest",
        arguments: ["", "[1]", "{", #"{"lease":null}"#])
    func brokenFile(text: String) async throws {
        try await withConfiguration(text) { path, servers in
            let ran = try await runAlone(["config", "--config", path], servers)
            #expect(ran.code == 78 && ran.errors.contains(path) && ran.output.contains("namespace"), "\(ran.errors)")
            let missing = try await runAlone(["status", "--config", path + "x"], servers)
            #expect(missing.code == 78 && missing.errors.contains("\(path)x: there is no such file"))
        }
    }

    @Test("a mistyped name in the environment is refused, a far one warned of, and another program's left alone")
    func mistypedInEnvironment() async throws {
        try await withServers { servers in
            let mistyped = try await runAlone(["status"], servers, ["ONEWRITE_NAMESPCE": "x"])
            #expect(mistyped.code == 78)
            #expect(mistyped.errors.contains("no setting ONEWRITE_NAMESPCE. Did you mean ONEWRITE_NAMESPACE?"))
            let others = [
                "ONEWRITE_PORT": "tcp://10.0.0.1:80", "ONEWRITE_REDIS_SERVICE_HOST": "10.0.0.1",
                "ONEWRITE_TEST_SEED": "1", "ONEWRITE_FAULT": "", "ONEWRITE_BUG": "",
            ]
            let far = others.merging(["ONEWRITE_REDIS_ADDRESS": "x"]) { $1 }
            let warned = try await runAlone(["config"], servers, far)
            let name = "ONEWRITE_REDIS_ADDRESS in the environment is no setting, and is ignored; the nearest is"
            #expect(
                warned.code == 0 && warned.errors.contains("warning: \(name) ONEWRITE_REDIS_URL"), "\(warned.errors)")
            #expect(warned.errors.split(separator: "\n").count == 1)
            #expect(try await runAlone(["config"], servers, others).errors.isEmpty)
        }
    }

    @Test("config marks each value that can't be used, every setting's, and doesn't stop at the first")
    func invalid() async throws {
        try await withServers { servers in
            var environment: [String: String?] = [:]
            for setting in Setting.all { environment[setting.variable] = "\u{1}-" }
            let ran = try await runAlone(["config", "--json"], servers, environment)
            #expect(
                ran.code == 78 && ran.errors.contains("\(Setting.all.count) settings can't be used"), "\(ran.errors)")
            let config = try #require(try ran.objects().first)
            for setting in try config.objects("settings") {
                #expect(setting.text("error")?.isEmpty == false, "\(setting.text("key") ?? "")")
            }
            let one = try await runAlone(["config"], servers, ["ONEWRITE_LEASE": "10"])
            #expect(one.code == 78 && one.errors == "error: 1 setting can't be used\n")
            #expect(one.output.contains("! lease (from environment ONEWRITE_LEASE): expected a duration"))
            #expect(
                try await runAlone(["config", "--json"], servers).object().objects("settings").allSatisfy {
                    $0.isNull("error")
                })
        }
    }

    private func withConfiguration(
        _ text: String, _ body: (_ path: String, _ servers: TestServers) async throws -> Void
    ) async throws {
        let path = NSTemporaryDirectory() + "onewrite-\(UUID().uuidString).json"
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await withServers { try await body(path, $0) }
    }
}
