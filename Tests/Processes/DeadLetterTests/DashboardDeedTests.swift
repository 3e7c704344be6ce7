import Foundation
import OrderLog
import PrivateServers
import RedisLog
import TestSupport
import Testing

/// The executable's dashboard on a pseudo-terminal, over real stores.
@Suite("dashboard: deeds")
struct DashboardDeedTests {
    @Test("what stalls is taken, a dead letter dropped and another retried, each after its plan")
    func deeds() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let hash = shop.keys.stock(Shop.partition, shop: Shop.name)
            // Beyond what can be counted on.
            try await shop.redis("HSET", hash, "TEA", "9007199254740993")
            try await shop.order("ord-1", sku: "TEA")
            let retried = try await shop.addOrderByHand("ord-2")
            let workers = [
                try await shop.worker(.stock), try await shop.worker(.postgres), try await shop.worker(.delivery),
            ]
            try await shop.becomes("stalled", .stock)

            let terminal = try PseudoTerminal(width: 100, height: 30)
            let dashboard = try await ChildProcess.spawn(
                [BuiltExecutable.path, "dashboard", "--interval", "200ms"],
                environment: servers.environment.merging(["TERM": "xterm"]) { $1 }, input: .file(terminal.path),
                output: .appended(to: terminal.path))
            // What was drawn since the last keys.
            func types(_ keys: String, andSees text: String) async throws {
                let before = terminal.plain.count
                terminal.type(keys)
                try await eventually(within: .seconds(30), "it shows \(text)") {
                    terminal.plain.dropFirst(before).contains(text)
                }
            }
            try await eventually(within: .seconds(30), "the first picture") { terminal.plain.contains("▸") }
            try await types("gj", andSees: "▸stock")
            try await types("\t", andSees: "T take")
            try await types("Ttoo large\r", andSees: "to be set aside by stock: too large")
            #expect(try await !shop.letters().contains { $0.text("letter") == "0:1" }, "a plan changes nothing")
            try await types("y", andSees: "set aside; the sink goes on")
            try await shop.applied(.stock)

            try await types("\rd", andSees: "0:1 ")
            try await types("gDa test\r", andSees: "to be dropped: a test")
            #expect(try await shop.letters().contains { $0.text("letter") == "0:1" }, "a plan changes nothing")
            try await types("y", andSees: "Done:")
            #expect(try await !shop.letters().contains { $0.text("letter") == "0:1" })

            try await shop.redis("HSET", hash, "TEA", "10")
            try await types("\r", andSees: "▸0:\(retried)")
            try await types("R", andSees: "to be appended again, to partition 0")
            try await types("y", andSees: "Done:")
            #expect(try await shop.letters().isEmpty)
            for group in Group.builtIn { try await shop.applied(group) }
            #expect(try await shop.ledger().last?.hasSuffix("ord-2") == true)

            terminal.type("\r\u{3}")
            #expect(try await dashboard.exit(within: .seconds(10)) == .exited(0))
            for worker in workers { await worker.stop() }
        }
    }
}
