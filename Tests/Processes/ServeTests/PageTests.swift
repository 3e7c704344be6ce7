import Foundation
import PrivateServers
import TestSupport
import Testing

@Suite("The web dashboard")
struct PageTests {
    /// Whether there is what `scripts/install --browser` installs.
    private static let hasBrowser =
        ["/usr/bin/chromium", "/usr/bin/python3"].allSatisfy(FileManager.default.isExecutableFile)
        && FileManager.default.fileExists(atPath: "/usr/lib/python3/dist-packages/websocket")

    @Test("the page and what it loads are served, with a policy that lets in nothing else")
    func page() async throws {
        try await ServedShop.with { shop in
            let page = try await shop.get("/")
            #expect(page.status == 200 && page.header("content-type") == "text/html; charset=utf-8")
            #expect(page.header("content-security-policy")?.hasPrefix("default-src 'none'; script-src 'self'") == true)
            #expect(page.header("x-frame-options") == "DENY")
            #expect(!page.body.contains("<style") && !page.body.contains("style=") && !page.body.contains("onclick"))
            var names = page.body.matches(of: /"\/assets\/([\w.]+)"/).map { String($0.1) }
            #expect(names.contains("app.js") && names.contains("style.css"))
            var seen: Set<String> = []
            while let name = names.popLast() {
                guard seen.insert(name).inserted else { continue }
                let asset = try await shop.get("/assets/\(name)")
                #expect(asset.status == 200, "\(name)")
                #expect(
                    asset.header("content-type")?.hasPrefix(name.hasSuffix(".css") ? "text/css" : "text/javascript")
                        == true)
                names += asset.body.matches(of: /from '\.\/([\w.]+)'/).map { String($0.1) }
            }
            let files = try FileManager.default.contentsOfDirectory(
                atPath: Repository.root.appending(path: "Sources/HTTPService/page").path)
            #expect(seen.union(["index.html"]) == Set(files), "every file is loaded, and none is missing")
        }
    }

    @Test(
        "a headless Chromium sees a real log: verdict, groups, partitions, an order, dead letters; logged in by a token",
        .enabled(if: hasBrowser, "no Chromium here: scripts/install --browser"))
    func browser() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "ow-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let file = "\(directory)/tokens.json"
        let token = try Ran(
            try await ChildProcess.run([
                BuiltExecutable.path, "token", "add", "alice", "--role", "operate", "--file", file,
            ])
        ).succeeded().output.trimmingCharacters(in: .whitespacesAndNewlines)
        try await ServedShop.with("--workers", "--tokens", file) { shop in
            let headers = ["Authorization": "Bearer \(token)"]
            for number in 0..<20 {
                let answer = try await shop.submit(
                    ServedShop.order("ord-\(number)", shop: "shop-\(number)"), query: "?wait=postgres", headers: headers
                )
                #expect(answer.status == 201)
            }
            let drive = Repository.root.appending(path: "Tests/Browser/drive.py").path
            let completed = try await ChildProcess.run(
                [
                    "/usr/bin/python3", drive, "http://127.0.0.1:\(shop.port)", "\(directory)/shots", "--order",
                    "ord-7",
                    "--token", token, "--seconds", "5",
                ], within: .seconds(240))
            let wrong = completed.output.split(separator: "\n").filter { $0.contains("WRONG") }
            #expect(wrong.isEmpty && completed.status == .exited(0), "\(wrong) \(completed.errors.suffix(2000))")
            #expect(completed.output.contains(/[3-9]\d checks, 0 wrong/), "\(completed.output.suffix(300))")
        }
    }
}
