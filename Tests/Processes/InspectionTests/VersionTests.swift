import Foundation
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("version")
struct VersionTests {
    @Test(
        "--version and version say the number, the commit and the libraries; JSON says the same, and no server is asked"
    )
    func agree() async throws {
        try await withServers { servers in
            let nowhere: [String: String?] = [
                "ONEWRITE_REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URL": "postgres://127.0.0.1:1/none",
            ]
            let flag = try await runAlone(["--version"], servers, nowhere)
            #expect(flag.code == 0 && flag.errors.isEmpty)
            #expect(try await runAlone(["version"], servers, nowhere).output == flag.output)
            let version = try await runAlone(["version", "--json"], servers, nowhere).object()
            #expect(version.text("schema") == "onewrite/version/v1" && version.text("version") == ProgramVersion.number)
            let rows =
                [("commit", version.text("commit") ?? "unknown (a development build)")]
                + (try version.objects("libraries").map { ($0.text("name") ?? "", $0.text("version") ?? "") })
            let lines = flag.output.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1) }
            #expect(lines.first == ["onewrite", "\(ProgramVersion.number)"])
            for (line, row) in zip(lines.dropFirst(), rows) {
                #expect(line.first ?? "" == row.0)
                #expect(line.last?.trimmingCharacters(in: .whitespaces) == row.1)
            }
            #expect(lines.count == rows.count + 1)
        }
    }

    @Test("the libraries' versions are those that are installed here")
    func libraries() async throws {
        let packages = [
            "hiredis": "hiredis", "libpq": "libpq", "libcurl": "libcurl", "openssl": "libcrypto",
            "librdkafka": "rdkafka", "zlib": "zlib", "libzstd": "libzstd",
        ]
        let libraries = ProgramVersion().libraries
        #expect(Set(libraries.map(\.name)).isSubset(of: packages.keys) && libraries.count >= 6)
        for library in libraries {
            let package = try #require(packages[library.name])
            let said = try await Ran(ChildProcess.run(["pkg-config", "--modversion", package])).succeeded().output
            #expect(said == library.version + "\n", "\(library.name)")
        }
    }
}
