import Foundation
import OrderLog
import PrivateServers
import TestSupport
import Testing

/// What a person sees of commands that take long, on a terminal and off it.
@Suite("Progress")
struct ProgressTests {
    /// Starts a command whose messages, and only they, go to a terminal.
    private func start(
        _ arguments: [String], _ servers: TestServers, on terminal: PseudoTerminal
    ) async throws -> ChildProcess {
        try await ChildProcess.spawn(
            [BuiltExecutable.path] + arguments, environment: servers.environment.merging(["TERM": "xterm"]) { $1 },
            output: .discarded, errors: .appended(to: terminal.path))
    }

    @Test("--wait on a long file shows how many of the accepted each group has applied, and takes the line away")
    func wait() async throws {
        try await withShop { shop in
            let file = try shop.file("rows.ndjson", orders("o", 0..<2000))
            let terminal = try PseudoTerminal(width: 100, height: 24)
            let submit = try await start(["submit", file, "--wait", "--timeout", "120s"], shop.servers, on: terminal)
            try await eventually(within: .seconds(60), "nobody has applied anything") {
                terminal.plain.contains("applied of 2 000: postgres 0, stock 0, delivery 0 · ")
            }
            let stock = try await shop.worker(.stock)
            try await eventually(within: .seconds(60), "stock has, the others haven't") {
                terminal.plain.contains("applied of 2 000: postgres 0, stock 2 000, delivery 0 · ")
            }
            let others = [try await shop.worker(.postgres), try await shop.worker(.delivery)]
            #expect(try await submit.exit(within: .seconds(90)) == .exited(0))
            #expect(terminal.output.hasSuffix("\r\u{1B}[K"), "the line is gone")
            for worker in [stock] + others { await worker.stop() }

            // Off a terminal nothing moves.
            let plain = try await shop.run("submit", file, "--wait=stock", "--timeout", "1500ms")
            #expect(plain.status == .exited(0) && plain.errors.isEmpty, "\(plain.errors)")
            let more = try shop.file("more.ndjson", orders("p", 0..<5))
            let late = try await shop.run("submit", more, "--wait=stock", "--timeout", "1500ms")
            #expect(
                late.status == .exited(75) && !late.errors.contains("\u{1B}") && !late.errors.contains("applied of"))
        }
    }

    @Test("every command that takes over a second shows its name and the time; a quick one shows nothing")
    func slow() async throws {
        try await withOwnServers { servers in
            let shop = try await Shop(servers)
            let quick = try PseudoTerminal(width: 80, height: 24)
            #expect(try await start(["config"], servers, on: quick).exit(within: .seconds(30)) == .exited(0))
            #expect(quick.output.isEmpty)

            shop.servers.redis.pause()
            let commands = [
                ["status"], ["audit"], ["order", "o", "--shop", "s"], ["init"], ["open"], ["pending"],
                ["stock", "show", "--shop", "s"], ["dead", "list"], ["dead", "retry", "--all"],
                ["cancel", "o", "--shop", "s"],
                ["submit", "--id", "o", "--shop", "s", "--customer", "c", "--line", "TEA:1"],
            ]
            var running: [(name: String, terminal: PseudoTerminal, process: ChildProcess)] = []
            for command in commands {
                let terminal = try PseudoTerminal(width: 80, height: 24)
                let name = command.prefix { !$0.hasPrefix("-") }.filter { $0 != "o" }.last ?? ""
                running.append((name, terminal, try await start(command, servers, on: terminal)))
            }
            for (name, terminal, _) in running {
                try await eventually(within: .seconds(30), "\(name) shows that it is at work") {
                    terminal.plain.contains(try Regex("(^|\r)\(name) · ([a-z ]+ · )?[1-9]s"))
                }
            }
            shop.servers.redis.resume()
            for (name, terminal, process) in running {
                _ = try await process.exit(within: .seconds(60))
                // What is said at the end stands on a line of its own, behind the one that was taken away.
                let last = terminal.output.components(separatedBy: "\r\u{1B}[K").last ?? "?"
                #expect(!last.contains(" · "), "\(name): \(last)")
            }
        }
    }
}
