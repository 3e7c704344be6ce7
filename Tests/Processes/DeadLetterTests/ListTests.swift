import Foundation
import OrderLog
import RedisLog
import TestSupport
import Testing

@Suite("dead list and show")
struct ListTests {
    @Test("an entry that all groups set aside is one letter, in the contract's JSON")
    func oneLetter() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.order("ord-1")
            try await shop.addInvalid()
            let byHand = try await shop.addOrderByHand("ord-hand")
            try await shop.settle()

            let letters = try await shop.letters()
            #expect(letters.map { $0.text("letter") } == ["0:2", "0:\(byHand)"])
            for letter in letters {
                #expect(letter.text("schema") == "onewrite/dead/v1")
                #expect(letter.int("partition") == 0 && letter["resolved"] as? Bool == false)
                #expect(letter["unknown"] as? [String] == [])
                let groups = try letter.objects("groups")
                #expect(Set(groups.compactMap { $0.text("group") }) == ["postgres", "stock", "delivery"])
                for group in groups {
                    #expect(group.isNull("resolution") && group.text("error")?.isEmpty == false)
                    #expect((0..<60_000).contains(group.int("age_ms") ?? -1))
                }
            }
            #expect(letters[0].text("reason") == "invalid" && letters[0].int("seq") == 2)
            #expect(letters[0].text("id") == "bad-2" && letters[0].text("type") == "order.shipped")
            #expect(letters[1].text("reason") == "added-by-hand" && letters[1].isNull("seq"))
            #expect(letters[1].text("entry") == byHand && letters[1].text("id") == "ord-hand")

            #expect(try await shop.letters("--reason", "invalid").map { $0.text("letter") } == ["0:2"])
            #expect(try await shop.letters("--group", "stock").count == 2)
            #expect(try await shop.letters("ord-hand").map { $0.text("entry") } == [byHand])
            #expect(try await shop.letters("--limit", "1").count == 1)
            let table = try await shop.run("dead", "list")
            #expect(table.code == 0 && table.output.hasPrefix("LETTER") && table.output.contains("0:2 "))

            let warnings = try await shop.run("status", "--json").objects()[0].objects("warnings")
            #expect(
                warnings.contains {
                    $0.text("code") == "dead-letters" && $0.text("hint") == "2 dead letters: onewrite dead list"
                })
        }
    }

    @Test("without Postgres the Redis groups' letters are listed, and postgres' part is unknown")
    func withoutPostgres() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.addOrderByHand("ord-hand")
            try await shop.settle()
            for url in [nil, "postgresql://127.0.0.1:1/none"] {
                let ran = try await shop.run(["dead", "list", "--json"], environment: ["DATABASE_URL": url])
                let letter = try #require(try ran.objects().first)
                #expect(ran.code == 0 && letter["unknown"] as? [String] == ["postgres"])
                #expect(try letter.objects("groups").compactMap { $0.text("group") } == ["stock", "delivery"])
                #expect(ran.errors.contains("warning: what postgres set aside is unknown") == (url != nil))
            }
            let table = try await shop.run(["dead", "list"], environment: ["DATABASE_URL": nil])
            #expect(table.output.contains("postgres? stock delivery"))
            let retry = try await shop.run(["dead", "retry", "--all"], environment: ["DATABASE_URL": nil])
            #expect(retry.code == 78)
        }
    }

    @Test("show tells the fields byte for byte, and a terminal is not obeyed")
    func bytes() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.addByHand("type", "\u{1b}[31mred", "id", "x\u{202e}y", "é", "\0")
            try await shop.settle()
            for command in [["dead", "list"], ["dead", "show", "x\u{202e}y"]] {
                let ran = try await shop.run(command)
                #expect(ran.code == 0 && !ran.output.contains("\u{1b}") && !ran.output.contains("\u{202e}"))
            }
            let text = try await shop.run("dead", "show", "x\u{202e}y").output
            #expect(text.contains(#""type" "\x1b[31mred""#) && text.contains(#""\xc3\xa9" "\x00""#))
            let fields = try await shop.run("dead", "show", "x\u{202e}y", "--json").objects()[0].objects("fields")
            #expect(fields.map { $0.text("name") } == ["type", "id", "é"])
            #expect(fields[0].text("value") == "\u{1b}[31mred" && fields[2].text("value") == "\0")

            let missing = try await shop.run("dead", "show", "0:99")
            #expect(missing.code == 1 && missing.errors == "error: there is no dead letter \"0:99\"\n")
        }
    }

    @Test("what somebody put among the dead letters by hand is listed too, and can be dropped")
    func foreign() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            let id = try await shop.redis("XADD", shop.keys.dead(Shop.partition, .stock), "*", "seq", "1")
            let letter = try #require(try await shop.letters().first)
            #expect(letter.text("reason") == "unreadable" && letter.text("entry") == id)
            #expect(try await shop.run("dead", "retry", "--all", "--yes").code == 65)
            #expect(try await shop.run("dead", "drop", "--all", "--reason", "no idea", "--yes").code == 0)
            #expect(try await shop.letters().isEmpty)
        }
    }

    @Test("an unknown reason is refused with those that there are, whichever command is given it")
    func unknownReason() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.addOrderByHand("ord-hand")
            try await shop.settle()
            for command in [
                ["dead", "list", "--reason", "typo"], ["dead", "retry", "--reason", "typo"],
                ["dead", "drop", "--with-reason", "typo", "--reason", "a test"],
            ] {
                let ran = try await shop.run(command)
                #expect(ran.code == 64 && ran.output == "")
                for reason in ["invalid", "added-by-hand", "taken", "unreadable"] {
                    #expect(ran.errors.contains("'\(reason)'"), "\(ran.errors)")
                }
            }
            let none = try await shop.run("dead", "list", "--reason", "unreadable")
            #expect(none.code == 0 && none.errors == "there are no unresolved dead letters\n")
            #expect(try await shop.letters("--reason", "added-by-hand").count == 1)
        }
    }

    @Test("an early build's schema is brought up to date by upgrade, and says so until then")
    func oldSchema() async throws {
        try await withServers { servers in
            let shop = try await Shop.open(servers)
            try await shop.sql("DROP INDEX dead_letters_unresolved")
            try await shop.sql("ALTER TABLE dead_letters DROP COLUMN resolution, DROP COLUMN resolved_at")
            try await shop.sql("UPDATE meta SET version = 1")
            let warnings = try await shop.run("status", "--json").objects()[0].objects("warnings")
            #expect(warnings.contains { $0.text("hint")?.contains("onewrite upgrade") == true })
            #expect(try await shop.run("dead", "drop", "--all", "--reason", "x", "--yes").code == 78)
            #expect(try await shop.run("upgrade", "--yes").code == 0)
            #expect(try await shop.run("dead", "drop", "--all", "--reason", "x", "--yes").code == 0)
            #expect(try await shop.status(.postgres).int("dead") == 0)
        }
    }
}
