import Foundation
import PrivateServers
import TestSupport
import Testing

@testable import HTTPService

@Suite("Who may do what over HTTP")
struct AccessTests {
    private static let names = ["submit", "read", "operate"]

    /// A file with a token of each role, and the tokens.
    private static func tokens(in directory: String) async throws -> (file: String, tokens: [String: String]) {
        let file = "\(directory)/tokens.json"
        var tokens: [String: String] = [:]
        for role in names {
            let ran = Ran(
                try await ChildProcess.run(
                    [BuiltExecutable.path, "token", "add", "the-\(role)", "--role", role, "--file", file]))
            tokens[role] = try ran.succeeded().output.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return (file, tokens)
    }

    private static func withTokens(
        _ body: (ServedShop, [String: String], String) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "ow-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (file, tokens) = try await tokens(in: directory)
        try await ServedShop.with("--tokens", file, "--access-log") { try await body($0, tokens, file) }
    }

    @Test("each role at each place: what the document says is let in, and all else refused")
    func matrix() async throws {
        try await Self.withTokens { shop, tokens, _ in
            let document = try await shop.get("/openapi.json").object()
            var looked = 0
            for (path, methods) in try document.object("paths") {
                for (method, operation) in try #require(methods as? [String: [String: Any]]) {
                    let role = operation.text("x-role")
                    let place = path.replacing(/\{\w+\}/, with: "x")
                    // Followers stay; that they are let in is shown by their first event.
                    guard path != "/v1/events" else { continue }
                    for who in Self.names + ["wrong", "none"] {
                        var headers: [String: String] = [:]
                        if who != "none" { headers["Authorization"] = "Bearer \(tokens[who] ?? "onewrite_wrong")" }
                        let answer = try await shop.ask(
                            method.uppercased(), place, method == "post" ? "{}" : nil, headers: headers)
                        looked += 1
                        let covers = role == nil || who == role || who == "operate"
                        let what: Comment = "\(who) at \(method) \(path): \(answer.status)"
                        if covers {
                            // A session's own answer to {} is that it is no token.
                            #expect(![401, 403].contains(answer.status), what)
                        } else if ["wrong", "none"].contains(who) {
                            #expect(answer.status == 401 && answer.header("www-authenticate") != nil, what)
                        } else {
                            #expect(answer.status == 403, what)
                        }
                    }
                }
            }
            #expect(looked > 80)
            let answer = RawAnswer(
                try RawConnection(port: shop.port), "GET /v1/events", "Authorization: Bearer \(tokens["submit"] ?? "")")
            #expect(answer.status == 403)
        }
    }

    @Test("no token is in the log, in the file, or among the processes' arguments")
    func secrets() async throws {
        try await Self.withTokens { shop, tokens, file in
            for token in tokens.values {
                _ = try await shop.get("/v1/status?token=\(token)", headers: ["Authorization": "Bearer \(token)"])
                _ = try await shop.ask("POST", "/v1/session", #"{"token":"\#(token)"}"#)
                let file = try String(contentsOfFile: file, encoding: .utf8)
                #expect(!file.contains(token) && !shop.log.contains(token))
            }
            let lines = shop.log.split(separator: "\n").filter { $0.contains("GET /v1/status ") }
            #expect(lines.count == tokens.count)
            for line in lines {
                let wanted = #/serve  GET /v1/status \d+ · address: 127\.0\.0\.1 · ms: [0-9.]+ · token: the-\w+$/#
                #expect(line.contains(wanted), "\(line)")
            }
            let arguments = try String(contentsOfFile: "/proc/\(shop.server.pid)/cmdline", encoding: .utf8)
            #expect(arguments.contains("--tokens") && !arguments.contains("onewrite_"))
            var status = stat()
            #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
        }
    }

    @Test("a file that was written anew is noticed, also behind links, as secrets are mounted")
    func stamps() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "ow-\(UUID().uuidString)")
        for version in ["one", "two"] {
            let directory = folder.appending(path: version)
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            try version.write(to: directory.appending(path: "tokens.json"), atomically: true, encoding: .utf8)
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        let (data, file) = (folder.appending(path: "data").path, folder.appending(path: "tokens.json").path)
        try FileManager.default.createSymbolicLink(atPath: data, withDestinationPath: "one")
        try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "data/tokens.json")
        let before = try #require(FileStamp(file))
        #expect(FileStamp(file) == before)
        try FileManager.default.removeItem(atPath: data)
        #expect(FileStamp(file) != before)
        try FileManager.default.createSymbolicLink(atPath: data, withDestinationPath: "two")
        #expect(try #require(FileStamp(file)) != before)
        let again = FileStamp(file)
        try "twice".write(toFile: "\(data)/tokens.json", atomically: true, encoding: .utf8)
        #expect(FileStamp(file) != again)
    }

    @Test("a token that is added lets in, one that is removed lets in no more, and ends what was begun with it")
    func changes() async throws {
        try await Self.withTokens { shop, _, file in
            let token = try await shop.run("token", "add", "late", "--role", "read", "--file", file).succeeded().output
                .trimmingCharacters(in: .whitespacesAndNewlines)
            let headers = ["Authorization": "Bearer \(token)"]
            try await eventually("it lets in") {
                try await shop.get("/v1/session", headers: headers).object().text("name") == "late"
            }
            let login = try await shop.ask("POST", "/v1/session", #"{"token":"\#(token)"}"#)
            let cookie = try #require(login.header("set-cookie"))
            #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(token))
            let session = ["Cookie": String(cookie.prefix { $0 != ";" })]
            #expect(try await shop.get("/v1/status", headers: session).status == 200)
            let follower = try RawConnection(port: shop.port)
            follower.send("GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(token)\r\n\r\n")
            #expect(follower.read(until: "event: status").contains("event: status"))
            #expect(try await shop.run("token", "add", "late", "--role", "read", "--file", file).code == 1)
            _ = try await shop.run("token", "remove", "late", "--file", file).succeeded()
            try await eventually("it lets in no more") {
                try await shop.get("/v1/status", headers: headers).status == 401
            }
            #expect(try await shop.get("/v1/status", headers: session).status == 401)
            #expect(follower.read(until: "0\r\n\r\n").hasSuffix("0\r\n\r\n"), "who follows is let go")
            #expect(try await shop.run("token", "remove", "late", "--file", file).code == 1)
            // A file that nobody can read changes nothing, and is told.
            try "nonsense".write(toFile: file, atomically: true, encoding: .utf8)
            try await eventually("it is told") { shop.log.contains("the tokens that were read before still count") }
        }
    }

    @Test("logging out ends the session; wrong tokens can be tried a few times")
    func sessions() async throws {
        try await Self.withTokens { shop, tokens, _ in
            let login = try await shop.ask("POST", "/v1/session", #"{"token":"\#(tokens["operate"] ?? "")"}"#)
            #expect(login.status == 200)
            #expect(try login.object()["roles"] as? [String] == Self.names)
            let session = ["Cookie": String(try #require(login.header("set-cookie")).prefix { $0 != ";" })]
            #expect(try await shop.get("/v1/status", headers: session).status == 200)
            // Another site's page can't use it.
            let forged = try await shop.ask(
                "POST", "/v1/dead/retry", #"{"ids":["0:1"]}"#,
                headers: session.merging(["Origin": "http://evil.example"]) { $1 })
            #expect(forged.status == 403)
            #expect(try await shop.ask("DELETE", "/v1/session", headers: session).status == 200)
            #expect(try await shop.get("/v1/status", headers: session).status == 401)
            for _ in 0..<5 { #expect(try await shop.ask("POST", "/v1/session", #"{"token":"no"}"#).status == 401) }
            let throttled = try await shop.ask("POST", "/v1/session", #"{"token":"\#(tokens["operate"] ?? "")"}"#)
            #expect(throttled.status == 429 && throttled.header("retry-after") != nil)
        }
    }

    @Test("without tokens: this machine's programs may, other sites' pages and proxies may not")
    func loopback() async throws {
        try await ServedShop.with { shop in
            #expect(try await shop.get("/v1/status").status == 200)
            for headers in [
                ["Origin": "http://evil.example"], ["Sec-Fetch-Site": "cross-site"], ["X-Forwarded-For": "8.8.8.8"],
            ] {
                #expect(try await shop.submit(ServedShop.order("x"), headers: headers).status == 403, "\(headers)")
            }
            let own = try await shop.submit(
                ServedShop.order("own"),
                headers: ["Origin": "http://127.0.0.1:\(shop.port)", "Sec-Fetch-Site": "same-origin"])
            #expect(own.status == 201)
            // A name that somebody else's DNS leads to this machine.
            let rebound = RawAnswer(try RawConnection(port: shop.port), "GET /v1/status", host: "evil.example")
            #expect(rebound.status == 403)
            let named = RawAnswer(try RawConnection(port: shop.port), "GET /v1/status", host: "localhost:99")
            #expect(named.status == 200)
            #expect(try shop.inLog() == ["own": 1])
        }
    }

    @Test("an address that others reach needs tokens, or to be told that it needs none")
    func addresses() async throws {
        try await withServers { servers in
            let refused = Ran(try await BuiltExecutable.run("serve", "--listen", "0.0.0.0:0", on: servers))
            #expect(refused.code == 78 && refused.errors.contains("--tokens"), "\(refused.errors)")
            for (arguments, code) in [
                (["--listen", "nowhere"], 64), (["--listen", ":8080"], 64), (["--tls-key", "x"], 64),
                (["--tokens", "/nonexistent"], 78), (["--insecure", "--tokens", "x"], 64),
            ] as [([String], Int32)] {
                let ran = Ran(try await BuiltExecutable.run(["serve"] + arguments, on: servers))
                #expect(ran.code == code && !ran.errors.isEmpty, "\(arguments): \(ran.errors)")
            }
        }
        try await ServedShop.with("--insecure") { shop in
            let answer = try await shop.get("/v1/status")
            #expect(answer.status == 200)
        }
    }

    @Test("HTTPS with a certificate, which is taken anew when its files change")
    func tls() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "ow-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        func make(_ name: String) async throws {
            _ = try Ran(
                try await ChildProcess.run([
                    "/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "\(directory)/\(name).key",
                    "-out", "\(directory)/\(name).pem",
                ])
            ).succeeded()
        }
        try await make("first")
        try await make("second")
        func take(_ name: String, _ kind: String) throws {
            _ = try? FileManager.default.removeItem(atPath: "\(directory)/own.\(kind)")
            try FileManager.default.copyItem(atPath: "\(directory)/\(name).\(kind)", toPath: "\(directory)/own.\(kind)")
        }
        try take("first", "pem")
        try take("first", "key")
        try await ServedShop.with(
            "--tls-certificate", "\(directory)/own.pem", "--tls-key", "\(directory)/own.key"
        ) { shop in
            func trusts(_ name: String) async throws -> Bool {
                let ran = Ran(
                    try await ChildProcess.run([
                        "/usr/bin/curl", "-sS", "--cacert", "\(directory)/\(name).pem",
                        "https://localhost:\(shop.port)/healthz",
                    ]))
                return ran.output == "ok\n"
            }
            #expect(try await trusts("first"))
            // The certificate alone doesn't fit the key: the former pair stays.
            try take("second", "pem")
            try await eventually("it is told: \(shop.log)") { shop.log.contains("the former ones still count") }
            #expect(try await trusts("first"))
            try take("second", "key")
            try await eventually("the new one is shown") { try await trusts("second") }
            #expect(try await !trusts("first"))
        }
        try await withServers { servers in
            let ran = Ran(
                try await BuiltExecutable.run(
                    "serve", "--tls-certificate", "\(directory)/first.pem", "--tls-key", "\(directory)/second.key",
                    on: servers))
            #expect(ran.code == 78 && ran.errors.contains("can't be used"), "\(ran.errors)")
        }
    }
}

/// The answer to one request, sent as it is.
struct RawAnswer {
    let text: String

    init(_ connection: RawConnection, _ line: String, _ headers: String..., host: String = "localhost") {
        connection.send(
            "\(line) HTTP/1.1\r\nHost: \(host)\r\n" + headers.map { "\($0)\r\n" }.joined() + "Connection: close\r\n\r\n"
        )
        text = connection.read()
    }

    var status: Int { text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0 }
}
