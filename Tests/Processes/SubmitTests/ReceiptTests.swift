import Foundation
import PrivateServers
import Testing
import TestSupport

@Suite("Receipts")
struct ReceiptTests {
    @Test("receipts come in the input's order: accepted, duplicate, conflict, rejected")
    func order() async throws {
        try await withShop { shop in
            let file = try shop.file(
                "rows.ndjson",
                [
                    SubmitTests.order("a"), SubmitTests.order("b", shop: "other"), SubmitTests.order("a"), "{}",
                    SubmitTests.order("a", quantity: 3), SubmitTests.order("c"),
                ])
            let result = try await shop.run("submit", file, "--json", "--rejects", shop.path("bad"))
            #expect(result.status == .exited(65))
            let receipts = try ReceiptLine.all(result.output)
            #expect(receipts.map(\.id) == ["a", "b", "a", nil, "a", "c"])
            #expect(
                receipts.map(\.outcome)
                    == ["accepted", "accepted", "duplicate", "rejected", "conflict", "accepted"])
            #expect(receipts[2].entry == receipts[0].entry && receipts[2].seq == 1)
            #expect(receipts[4].line == 5 && receipts[4].field == "id" && receipts[4].seq == 1)
            #expect(receipts[3].line == 4 && receipts[3].seq == nil)
            #expect(receipts.allSatisfy { $0.schema == "onewrite/submit/v1" })
            #expect(try shop.lines("bad").count == 2)
            // The log holds what the receipts say.
            for entry in try shop.entries() {
                #expect(receipts.contains { $0.id == entry["id"] && $0.seq.map(String.init) == entry["seq"] })
            }
        }
    }

    @Test("a shop's changes are in the log in the input's order, over many calls")
    func orderWithinShop() async throws {
        try await withShop { shop in
            let file = try shop.file("rows.ndjson", orders("o", 0..<5000))
            let result = try await shop.run("submit", file, "--json")
            #expect(result.status == .exited(0), "\(result.errors)")
            #expect(try ReceiptLine.all(result.output).map(\.id) == (0..<5000).map { "o-\($0)" })
            for (name, entries) in Dictionary(grouping: try shop.entries(), by: { $0["shop"] ?? "" }) {
                let numbers = entries.compactMap { $0["id"]?.dropFirst(2) }.compactMap { Int($0) }
                #expect(numbers == numbers.sorted() && numbers.count == 100, "\(name)")
            }
        }
    }

    @Test("one order by flags: accepted, then duplicate, then a conflict")
    func single() async throws {
        try await withShop { shop in
            func submit(_ quantity: String) async throws -> ChildProcess.Completed {
                try await shop.run(
                    "submit", "--id", "ord-1001", "--shop", "main", "--customer", "c-17", "--line",
                    "TEA-250:\(quantity)",
                    "--attributes", #"{"gift":true}"#)
            }
            let accepted = try await submit("2")
            #expect(accepted.status == .exited(0))
            let entry = try #require(try shop.entries().first)
            let line = try #require(accepted.output.split(separator: "\n").first)
            #expect(line.hasPrefix("ord-1001  accepted  partition \(entry["partition"] ?? "")  seq 1  "), "\(line)")
            #expect(entry["lines"] == "TEA-250:2" && entry["attributes"] == #"{"gift":true}"#)

            let duplicate = try await submit("2")
            #expect(duplicate.status == .exited(0))
            #expect(duplicate.output == accepted.output.replacing("accepted", with: "duplicate"))

            let conflict = try await submit("9")
            #expect(conflict.status == .exited(65))
            #expect(
                conflict.errors
                    == "error: ord-1001 is in the log with another payload (partition \(entry["partition"] ?? ""), seq 1). Use a new ID.\n"
            )
            let bad = try await submit("two")
            #expect(bad.status == .exited(65))
            #expect(bad.errors == "error: quantity: expected a whole number from 1 to 1 000 000, got \"two\"\n")
            #expect(try shop.length() == 1)
        }
    }

    @Test("a receipt is given before the input ends, also after the server has forgotten the script")
    func interactive() async throws {
        try await withShop { shop in
            _ = try shop.file("one", [SubmitTests.order("one")])
            _ = try shop.file("two", [SubmitTests.order("two")])
            let process = try await shop.start(
                """
                { cat one; until [ -e go ] || ! kill -0 $$ 2> /dev/null; do sleep 0.02; done; cat two; until [ -e end ] || ! kill -0 $$ 2> /dev/null; do sleep 0.02; done; } \
                | $onewrite submit - --json > out
                """)
            try await eventually("the first receipt is there") { (try? shop.lines("out").count) == 1 }
            try shop.redis("SCRIPT", "FLUSH")
            _ = try shop.file("go", [])
            try await eventually("the second receipt is there") { try shop.lines("out").count == 2 }
            #expect(process.isRunning)
            _ = try shop.file("end", [])
            #expect(try await process.exit(within: .seconds(10)) == .exited(0))
            #expect(try shop.ids() == ["one", "two"])
        }
    }

    @Test("a reader of the receipts that goes away ends the submission, and crashes nothing")
    func closedOutput() async throws {
        try await withShop { shop in
            _ = try shop.file("rows.ndjson", orders("o", 0..<20_000))
            let result = try await shop.shell(
                "{ $onewrite submit rows.ndjson --json; echo $? > status; } | head -1")
            #expect(try ReceiptLine.all(result.output).map(\.id) == ["o-0"])
            #expect(try shop.lines("status") == ["141"])
            #expect(result.errors.contains("stopped before the end of rows.ndjson"), "\(result.errors)")
            let ids = try shop.ids()
            #expect(ids.count < 20_000 && Set(ids).count == ids.count)
        }
    }

    @Test("Ctrl-C while the input is open prints what went in")
    func interrupted() async throws {
        try await withShop { shop in
            _ = try shop.file("one", [SubmitTests.order("one")])
            let process = try await shop.start(
                """
                mkfifo pipe; { cat one; until [ -e end ] || ! kill -0 $$ 2> /dev/null; do sleep 0.02; done; } > pipe &
                trap '' INT; $onewrite submit - < pipe > out 2> errors & echo $! > pid; wait $!; echo $? > status
                """)
            try await eventually("the order is in the log") { try shop.length() == 1 }
            _ = try await shop.shell("kill -INT $(cat pid)")
            // The shell makes the file before it writes to it.
            try await eventually("it has ended") { (try? shop.lines("status"))?.isEmpty == false }
            #expect(try shop.lines("status") == ["130"])
            #expect(try shop.lines("out").first?.hasPrefix("1 row · 1 accepted · ") == true)
            _ = try shop.file("end", [])
            _ = try await process.exit(within: .seconds(10))
        }
    }

    @Test(
        "Ctrl-C ends whatever is waited for: the groups, the rest of a pipe",
        arguments: [
            ("$onewrite submit one --wait=stock", "stopped waiting; what was submitted is in the log"),
            ("$onewrite submit --on-error stop - < pipe", "stopping: waiting for the answers in flight"),
        ])
    func interruptedWaiting(command: String, message: String) async throws {
        try await withShop { shop in
            _ = try shop.file("one", [SubmitTests.order("one")])
            let process = try await shop.start(
                """
                mkfifo pipe; { cat one; until [ -e end ] || ! kill -0 $$ 2> /dev/null; do sleep 0.02; done; } 1<> pipe &
                trap '' INT; \(command) > out 2> errors & echo $! > pid; wait $!; echo $? > status
                """)
            // Signals are handled before anything is sent, and a spooled input gives no other sign than its open pipe.
            try await eventually("it handles signals") {
                let caught = try await shop.shell("grep -q 'SigCgt:.*[2367abef]$' /proc/$(cat pid)/status")
                return caught.status == .exited(0)
            }
            if command.contains("--wait") {
                try await eventually("the order is in the log") { try shop.length() == 1 }
            }
            _ = try await shop.shell("kill -INT $(cat pid)")
            // The shell makes the file before it writes to it.
            try await eventually("it has ended") { (try? shop.lines("status"))?.isEmpty == false }
            #expect(try shop.lines("status") == ["130"])
            #expect(try shop.lines("errors").contains { $0.hasPrefix(message) })
            _ = try shop.file("end", [])
            await process.stop()
        }
    }

    @Test("submitters of overlapping files at once: each order is in the log once")
    func concurrent() async throws {
        try await withShop { shop in
            _ = try shop.file("1.ndjson", orders("o", 0..<3000))
            _ = try shop.file("2.ndjson", orders("o", 1000..<4000))
            _ = try shop.file("3.ndjson", orders("o", 500..<3500).shuffled())
            try await withThrowingTaskGroup { tasks in
                for name in 1...3 {
                    tasks.addTask {
                        let result = try await shop.run("submit", "\(name).ndjson", "--json")
                        #expect(result.status == .exited(0), "\(result.errors)")
                        return try ReceiptLine.all(result.output)
                    }
                }
                var places: [String?: String] = [:]
                var accepted = 0
                for try await receipts in tasks {
                    for receipt in receipts {
                        let place = "\(receipt.partition ?? -1) \(receipt.entry ?? "?")"
                        #expect(places[receipt.id, default: place] == place)
                        places[receipt.id] = place
                        accepted += receipt.outcome == "accepted" ? 1 : 0
                    }
                }
                #expect(accepted == 4000)
            }
            #expect(Set(try shop.ids()) == Set((0..<4000).map { "o-\($0)" }))
            #expect(try shop.length() == 4000)
        }
    }
}
