import Foundation
import PrivateServers
import Testing
import TestSupport

@Suite("passwords that change")
struct RotationTests {
    @Test("while workers run and orders come in: nothing is lost, and the old password opens nothing any more")
    func rotation() async throws {
        try await GuardedShop.open { shop in
            for role in ["submit", "worker", "read"] { try await shop.grant(role) }
            try await shop.requirePassword(of: "worker", "first")
            let worker = try await shop.startWorker("worker")
            try await submit("before", to: shop)
            try await shop.drained()
            for next in ["second", "third"] { try await rotate(to: next, shop) }
            try await submit("after", to: shop)
            try await shop.drained()
            await worker.stop()

            let audit = try await shop.run("read", "audit")
            #expect(audit.code == 0, "\(audit.output)\(audit.errors)")
            #expect(try await shop.run("read", "log --json").output.split(separator: "\n").count == 40)
            try "first".write(toFile: shop.passwordFile, atomically: true, encoding: .utf8)
            let old = try await shop.run("submit", "submit --id late --shop main --customer c --line TEA:1")
            #expect(old.code == 77 && old.errors.contains("WRONGPASS"), "\(old.errors)")
            #expect(!old.errors.contains("onewrite grants"), "a password is no right")
        }
    }

    private func submit(_ name: String, to shop: GuardedShop) async throws {
        for number in 1...10 {
            let ran = try await shop.run(
                "submit", "submit --id \(name)-\(number) --shop main --customer c --line TEA:1")
            #expect(ran.code == 0, "\(ran.errors)")
        }
    }

    /// The new one is let in beside the old one; programs get it; the old one is taken away, and with it every connection.
    private func rotate(to next: String, _ shop: GuardedShop) async throws {
        let former = try String(contentsOfFile: shop.passwordFile, encoding: .utf8).filter { !$0.isNewline }
        let users = ["submit", "worker", "read"].map(shop.user)
        for user in users { _ = try await shop.ask("ACL", "SETUSER", user, ">\(next)") }
        try next.write(toFile: shop.passwordFile, atomically: true, encoding: .utf8)
        try await submit("to-\(next)", to: shop)
        for user in users {
            _ = try await shop.ask("ACL", "SETUSER", user, "<\(former)")
            _ = try await shop.ask("CLIENT", "KILL", "USER", user)
        }
        try await shop.sql(
            """
            ALTER ROLE "\(shop.user("worker"))" PASSWORD '\(next)';
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '\(shop.user("worker"))'
            """)
    }

    @Test("a password file that is missing, or empty, is named, and nothing of it is shown", arguments: ["", "a\nb\n"])
    func unusable(text: String) async throws {
        try await withServers { servers in
            let directory = try await PrivateDirectory()
            let path = "\(directory.path)/password"
            for isThere in [false, true] {
                if isThere { try text.write(toFile: path, atomically: false, encoding: .utf8) }
                for name in ["REDIS_PASSWORD_FILE", "DATABASE_PASSWORD_FILE"] {
                    let ran = Ran(
                        try await ChildProcess.run(
                            [BuiltExecutable.path, "init"],
                            environment: servers.environment.merging([name: path]) { $1 }))
                    #expect(ran.code == 78 && ran.errors.contains(path), "\(ran.errors)")
                }
            }
            await directory.remove()
        }
    }

    @Test("grants takes a password from a file as its hash, two for a change, and without one fails closed")
    func hashes() async throws {
        let directory = try await PrivateDirectory()
        try "one\n".write(toFile: "\(directory.path)/one", atomically: false, encoding: .utf8)
        try "two".write(toFile: "\(directory.path)/two", atomically: false, encoding: .utf8)
        func grants(_ arguments: String...) async throws -> Ran {
            Ran(try await ChildProcess.run([BuiltExecutable.path, "grants", "redis"] + arguments, in: directory.path))
        }
        let both = try await grants(
            "--role", "submit", "--password-file", "one", "--password-file", "two"
        ).succeeded().output
        // sha256sum's, of the line without its end.
        #expect(both.contains(" #7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed "))
        #expect(both.contains(" #3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3 "))
        #expect(!both.contains("one ") && !both.contains("nopass"))
        let open = try await grants("--role", "submit", "--role", "read", "--aclfile").succeeded()
        #expect(
            open.output.split(separator: "\n").map { $0.split(separator: " ")[1] } == [
                "onewrite-submit", "onewrite-read", "default",
            ])
        #expect(open.output.contains(" #SHA-256 ") && open.errors.contains("--password-file"))
        for wrong in [
            ["--role", "nobody"], ["--role", "worker:pages"], [], ["--role", "read", "--password-file", "none"],
        ] {
            let ran = try await Ran(
                ChildProcess.run([BuiltExecutable.path, "grants", "redis"] + wrong, in: directory.path))
            #expect([64, 66].contains(ran.code) && ran.output.isEmpty, "\(wrong): \(ran.errors)")
        }
        await directory.remove()
    }
}
