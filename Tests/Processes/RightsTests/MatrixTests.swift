import ArgumentParser
import Foundation
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("every command under every role")
struct MatrixTests {
    /// A command, and who may give it.
    private struct Row {
        let arguments: String
        /// By their letters: submit, worKer:stock, worker:Postgres, Read, Operate, Admin.
        let by: String
        /// What the first of them gets.
        var codes: [Int32] = [0]
        /// What the administrator changes in Redis first, so that there is something to do.
        var prepare: [[String]] = []
    }

    private static let letters: [String: Character] = [
        "submit": "s", "worker:stock": "k", "worker:postgres": "p", "read": "r", "operate": "o", "admin": "a",
    ]

    private func rows(_ shop: GuardedShop) -> [Row] {
        let (file, script) = ("\(shop.directory.path)/orders.ndjson", "\(shop.directory.path)/pages.lua")
        let tag = "{\(shop.namespace):0}"
        return [
            Row(arguments: "submit --id n-1 --shop main --customer c --line TEA:1", by: "soa"),
            Row(arguments: "submit \(file) --on-error stop", by: "soa"),
            Row(arguments: "submit \(file) --ledger-check", by: "soa"),
            Row(arguments: "cancel ord-1 --shop main", by: "soa"),
            Row(arguments: "stock count --shop main TEA:5", by: "soa"),
            Row(arguments: "stock receive --shop main TEA:5", by: "soa"),
            Row(arguments: "stock show --shop main", by: "roa"), Row(arguments: "pending", by: "kproa"),
            Row(arguments: "order ord-1 --shop main", by: "roa"), Row(arguments: "log", by: "skproa"),
            Row(arguments: "dead list", by: "roa"), Row(arguments: "dead show 0:3", by: "roa"),
            Row(arguments: "incident list", by: "roa"), Row(arguments: "group list", by: "skproa"),
            Row(
                arguments: "audit", by: "roa", codes: [1],
                prepare: [["HINCRBY", "\(tag):stock:main", "TEA", "5"], ["RPOP", "\(tag):deliveries"]]),
            Row(arguments: "repair --reason x --yes", by: "oa"), Row(arguments: "open", by: "proa"),
            Row(arguments: "trim", by: "proa"), Row(arguments: "rebuild stock --yes", by: "oa"),
            Row(
                arguments: "rebuild delivery --since 2h --yes", by: "oa", prepare: [["RPOP", "\(tag):deliveries"]]),
            Row(arguments: "rebuild tables --yes", by: "oa"),
            Row(arguments: "dead drop 0:4 --reason x --yes", by: "oa"),
            Row(arguments: "dead retry 0:3 --yes", by: "oa"),
            Row(arguments: "dead take --group stock --partition 0 --reason x --yes", by: "koa"),
            Row(arguments: "incident settle 0:1 --group stock --what a --reason b --yes", by: "oa"),
            Row(arguments: "trim --keep-entries 1 --yes", by: "poa"), Row(arguments: "group add search", by: "oa"),
            Row(arguments: "group add pages --kind redis-script \(script)", by: "oa"),
            Row(arguments: "group change pages \(script)", by: "oa"),
            Row(arguments: "group remove search --yes", by: "oa"), Row(arguments: "init", by: "oa"),
            Row(arguments: "functions load", by: "a", prepare: [["FUNCTION", "DELETE", "onewrite"]]),
            Row(
                arguments: "rebuild log --deliveries-since 2h --yes", by: "oa", prepare: [["FLUSHALL"]]),
            Row(arguments: "upgrade --yes", by: "a", prepare: [["HSET", "\(shop.namespace):meta", "version", "1"]]),
        ]
    }

    @Test("what a role allows works; everything else ends with 77, names the role, and changes nothing")
    func matrix() async throws {
        try await GuardedShop.open { shop in
            for role in GuardedShop.roles + ["worker:delivery"] { try await shop.grant(role) }
            try #"{"id":"f-1","shop":"main","customer":"c","lines":[{"sku":"TEA","quantity":1}]}"#
                .write(toFile: "\(shop.directory.path)/orders.ndjson", atomically: false, encoding: .utf8)
            try #"return function(changes, store) store.write("SET", store.key("n"), #changes) end"#
                .write(toFile: "\(shop.directory.path)/pages.lua", atomically: false, encoding: .utf8)
            try await apply(["ord-1", "ord-2"], in: shop)
            try await setAside(["ord-3", "ord-4"], in: shop)

            for row in rows(shop) {
                for words in row.prepare { _ = try await shop.ask(words) }
                if row.arguments.hasPrefix("upgrade") { try await shop.sql("UPDATE meta SET version = 1") }
                try await check(row, in: shop)
            }
            try await looking(shop)
        }
    }

    /// Has orders applied by a worker of each group, under the role for it; no right is missing on the way.
    private func apply(_ ids: [String], in shop: GuardedShop) async throws {
        _ = try await shop.ask("ACL", "LOG", "RESET")
        var workers: [ChildProcess] = []
        for group in ["postgres", "stock", "delivery"] {
            workers.append(try await shop.startWorker("worker:\(group)", "--group", group))
        }
        for (id, level) in zip(ids, ["applied", "server"]) {
            let ran = try await shop.run(
                "submit", "submit --id \(id) --shop main --customer c --line TEA:1 --wait --durability \(level)")
            #expect(ran.code == 0, "\(ran.errors)")
        }
        for worker in workers { await worker.stop() }
        #expect(try await shop.list("ACL", "LOG").isEmpty)
    }

    /// Has dead letters in every group.
    private func setAside(_ ids: [String], in shop: GuardedShop) async throws {
        for id in ids {
            _ = try await shop.run("submit", "submit --id \(id) --shop main --customer c --line TEA:1").succeeded()
            for group in ["postgres", "stock", "delivery"] {
                _ = try await shop.run("operate", "dead take --group \(group) --partition 0 --reason x --yes")
                    .succeeded()
            }
        }
    }

    private func check(_ row: Row, in shop: GuardedShop) async throws {
        let before = try await shop.state()
        let isAllowed = { (role: String) in row.by.contains(Self.letters[role] ?? "?") }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for role in GuardedShop.roles where !isAllowed(role) {
                tasks.addTask {
                    let ran = try await shop.run(role, row.arguments)
                    #expect(ran.code == 77, "\(row.arguments) by \(role): \(ran.code ?? -1) \(ran.errors)")
                    let advice = /This needs the role [a-z:A-Z]+\. Run: onewrite grants (redis|postgres) --role/
                    #expect(ran.errors.contains(advice), "\(row.arguments) by \(role): \(ran.errors)")
                }
            }
            try await tasks.waitForAll()
        }
        #expect(try await shop.state() == before, "\(row.arguments) was refused, and changed something")
        var codes: [Int32]? = row.codes
        for role in GuardedShop.roles where isAllowed(role) {
            let ran = try await shop.run(role, row.arguments)
            let code = try #require(ran.code)
            // Of what is done once the next finds nothing left to do.
            #expect(codes?.contains(code) ?? (code != 77), "\(row.arguments) by \(role): \(code) \(ran.errors)")
            codes = nil
        }
    }

    /// What shows as much as it may: nothing is missing for who reads, and doctor takes no role for a mistake.
    private func looking(_ shop: GuardedShop) async throws {
        for role in GuardedShop.roles {
            let ran = try await shop.run(role, "doctor --json")
            let codes = try #require(try ran.objects().first, "\(ran.errors)").objects("findings")
                .compactMap { $0.text("code") }
            #expect(!codes.contains("redis-rights") && !codes.contains("postgres-rights"), "\(role): \(codes)")
            let status = try await shop.run(role, "status")
            let mayRead = ["read", "operate", "admin"].contains(role)
            #expect(status.code == 0 && status.output.contains("NOPERM") != mayRead, "\(role): \(status.output)")
        }
    }

    @Test("each command that asks a server has its role, and is among those that are tried")
    func covered() async throws {
        let known = CommandRights.roles.map { ObjectIdentifier($0.command) }
        var uncovered: [String] = []
        func visit(_ command: any ParsableCommand.Type, _ path: [String]) {
            for inner in command.configuration.subcommands { visit(inner, path + [inner._commandName]) }
            guard command.configuration.subcommands.isEmpty, !known.contains(ObjectIdentifier(command)) else { return }
            uncovered.append(path.joined(separator: " "))
        }
        visit(RootCommand.self, [])
        // They ask no server, or servers of their own.
        #expect(
            Set(uncovered) == [
                "bench", "config", "demo dual-write", "functions print", "grants postgres", "grants redis", "group sql",
                "token add", "token list", "token remove", "version",
            ], "\(uncovered)")
    }
}
