import Foundation
import Harness
import PrivateServers
import TestSupport
import Testing

@Suite("Stores that others write into")
struct HostileStoreTests {
    /// Clears the screen, renames the window, turns the text around; and a byte that is no text at all.
    private static let evil =
        Array("\u{1B}[2J\u{1B}]0;owned\u{7}\u{9B}31m\u{202E}\r\n\u{0}\"\\<script>".utf8) + [0xFF, 0xC3]
    private static let evilText = "\u{1B}[2J\u{1B}]0;owned\u{7}\u{202E}\n\"'<b>"

    /// What only looks.
    private static let commands = [
        ["status"], ["status", "--json"], ["pending"], ["pending", "--json"], ["dead", "list"],
        ["dead", "list", "--json"],
        ["log"], ["log", "--json"], ["order", "ord-1-0"], ["order", "ord-1-0", "--json"], ["audit"],
        ["audit", "--json"],
        ["stock", "show", "--shop", "main"], ["doctor"], ["doctor", "--json"], ["trim"], ["group", "list"],
        ["incident", "list"], ["incident", "list", "--json"],
    ]

    @Test(
        "bytes that aren't ours, and a hundred thousand keys of the namespace: no command breaks, nothing reaches the screen"
    )
    func everywhere() async throws {
        try await Trial.open { trial in
            var workers: [Worker] = []
            for group in Trial.groups { workers.append(try await trial.worker(group)) }
            try await trial.submit(3)
            try await trial.drained()
            let (tag, namespace) = (trial.tag, trial.demo.namespace)
            func put(_ name: String, _ arguments: [UInt8]...) async throws {
                try await trial.redis(name, bytes: arguments)
            }
            func text(_ text: String) -> [UInt8] { Array(text.utf8) }
            let long = [UInt8](repeating: 0x1B, count: 1 << 20)
            try await put("XADD", text("\(tag):log"), text("*"), Self.evil, Self.evil, text("id"), Self.evil)
            try await put("XADD", text("\(tag):log"), text("*"), text("shop"), long, long, long)
            // A sleeper under a name of its own, with something pending.
            try await put("XGROUP", text("CREATECONSUMER"), text("\(tag):log"), text("stock"), Self.evil)
            try await put(
                "XREADGROUP", text("GROUP"), text("stock"), Self.evil, text("COUNT"), text("1"), text("STREAMS"),
                text("\(tag):log"), text(">"))
            for group in Trial.groups {
                try await put("ZADD", text("\(namespace):workers:\(group)"), text("9e300"), Self.evil)
                try await trial.redis(
                    "EVAL", "for i = 1, 10000 do redis.call('ZADD', KEYS[1], i % 2 * 9e15, 'junk-' .. i) end", "1",
                    "\(namespace):workers:\(group)")
                try await put("SET", text("\(namespace):worker:\(group):") + Self.evil, Self.evil)
                try await put("SET", text("\(namespace):worker:\(group):nobody"), text("{\"state\":\"") + Self.evil)
            }
            try await put("HSET", text("\(tag):stock:main"), Self.evil, text("12"), text("TEA\u{1B}[2J"), Self.evil)
            try await put("HSET", text("\(tag):stock:") + Self.evil, Self.evil, long)
            try await put("SADD", text("\(tag):shops"), Self.evil)
            try await put("RPUSH", text("\(tag):deliveries"), Self.evil, long)
            try await put(
                "XADD", text("\(tag):dead:stock"), text("*"), text("seq"), text("2"), text("entry"), Self.evil,
                text("reason"), Self.evil, text("error"), Self.evil, text("epoch"), Self.evil)
            try await put("HSET", text("\(tag):position:delivery"), text("refused"), Self.evil)
            try await trial.sql(
                """
                INSERT INTO dead_letters (partition, epoch, entry, id, type, shop, fields, reason, error)
                VALUES (0, 1, '7-7', \(quoted: Self.evilText), \(quoted: Self.evilText), \(quoted: Self.evilText), '\\x1b',
                    \(quoted: Self.evilText), \(quoted: Self.evilText))
                """)
            for prefix in [
                "\(tag):", "\(tag):stock:", "\(namespace):", "\(namespace):worker:stock:", "{\(namespace):77}:",
            ] {
                try await trial.redis(
                    "EVAL", "for i = 1, 20000 do redis.call('SET', ARGV[1] .. 'x' .. i, i) end", "0", prefix)
            }

            for command in Self.commands {
                let ran = Ran(
                    try await ChildProcess.run(
                        [trial.demo.executable] + command, environment: trial.demo.environment, within: .seconds(60)))
                let words = command.joined(separator: " ")
                let (output, errors) = (ran.output, ran.errors)
                #expect(
                    ran.code.map { [0, 1, 65, 69, 75].contains($0) } == true, "\(words): \(ran.code ?? -1) \(errors)")
                for scalar in (output + errors).unicodeScalars where scalar != "\n" {
                    let isHostile = [.control, .format].contains(scalar.properties.generalCategory)
                    #expect(!isHostile, "\(words) prints U+\(String(scalar.value, radix: 16))")
                    if isHostile { break }
                }
                #expect(output.utf8.count < 8 << 20, "\(words) prints \(output.utf8.count) bytes")
                if command.last == "--json", !output.isEmpty { _ = try ran.objects() }
            }
            // And the log goes on, with workers that have to find each other there.
            for worker in workers { await worker.process.kill() }
            for group in Trial.groups { try await trial.worker(group, "b") }
            try await trial.submit(3)
            for group in Trial.groups {
                try await eventually("\(group) goes on") { try await trial.position(group) >= 6 }
            }
        }
    }
}

extension DefaultStringInterpolation {
    /// A literal of SQL.
    fileprivate mutating func appendInterpolation(quoted text: String) {
        appendInterpolation("'\(text.replacingOccurrences(of: "'", with: "''"))'")
    }
}
