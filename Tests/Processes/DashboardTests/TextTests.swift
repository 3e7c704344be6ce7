import Reports
import Testing

@testable import Dashboard

@Suite("Text for a terminal")
struct TextTests {
    @Test("what could command a terminal or turn text around is replaced, and stays visible as such")
    func hostile() {
        #expect(sanitized("ord-1\u{1B}[2Jx") == "ord-1�[2Jx")
        #expect(sanitized("a\nb\r\tc\u{7F}\u{9B}31m") == "a�b��c��31m")
        #expect(sanitized("ord\u{202E}7\u{2066}\u{200B}\u{FEFF}") == "ord�7���")
        #expect(sanitized("a\u{2028}b\u{E000}") == "a�b�")
        #expect(sanitized("ord-1") != sanitized("ord-1\u{200B}"))
        let sanitizedTwice = sanitized(sanitized("x\u{0}é日本\u{200D}👩‍👩‍👧"))
        #expect(sanitizedTwice == sanitized("x\u{0}é日本\u{200D}👩‍👩‍👧"))
    }

    @Test("every scalar of the planes in use comes out without control, format or bidi characters")
    func everyScalar() {
        for value in [UInt32](0...0x1FFFF) + [UInt32](0xE0000...0xE01FF) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            for kept in sanitized("a" + String(scalar)).unicodeScalars {
                switch kept.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
                    Issue.record("U+\(String(value, radix: 16)) came through")
                default: break
                }
            }
        }
    }

    @Test("towers of combining marks are cut down, and a mark alone doesn't stand")
    func combining() {
        #expect(sanitized("e" + String(repeating: "\u{301}", count: 50)).unicodeScalars.count == 3)
        #expect(sanitized("\u{301}x") == "x")
        #expect("e\u{301}".columns == 1)
    }

    @Test("very long text costs no more than a screen")
    func long() {
        let text = sanitized(String(repeating: "x", count: 1_000_000))
        #expect(text.unicodeScalars.count == 1025)
        #expect(text.hasSuffix("x…"))
    }

    @Test("wide characters count two columns, and are never cut in half")
    func wide() {
        #expect("日本".columns == 4)
        #expect("ﬀ가Ａ👍".columns == 1 + 2 + 2 + 2)
        #expect("日本語".fitted(to: 4) == "日… ")
        #expect("日本語".fitted(to: 5) == "日本…")
        #expect("日本語".fitted(to: 6) == "日本語")
        #expect("日本".fitted(to: 6, .trailing) == "  日本")
        #expect("order".fitted(to: 1) == "…")
        #expect("order".fitted(to: 0) == "")
        for width in 1...8 { #expect("日o本r語".fitted(to: width).columns == width) }
    }

    @Test(
        "ages read as a person says them",
        arguments: [
            (0, "0.0s"), (400, "0.4s"), (2104, "2.1s"), (41_700, "41.7s"), (59_949, "59.9s"), (59_950, "1m 0s"),
            (192_000, "3m 12s"), (7_500_000, "2h 5m"), (273_600_000, "3d 4h"), (-5, "0.0s"),
        ])
    func ages(milliseconds: Int, text: String) {
        #expect(Readable.age(milliseconds: milliseconds) == text)
    }

    @Test("huge numbers get short instead of wide, and the unknown is a question mark")
    func numbers() {
        #expect(Readable.count(1204) == "1 204")
        #expect(Readable.count(999) == "999")
        #expect(Readable.count(-1_204_318) == "-1 204 318")
        #expect(Readable.count(999_999_999_999_999) == "999 999 999 999 999")
        #expect(Readable.count(.max) == "9.2E")
        #expect(Readable.count(.min) == "-9.2E")
        #expect(Readable.count(nil) == "?")
        #expect(Readable.rate(nil) == "?")
        #expect(Readable.rate(.nan) == "?")
        #expect(Readable.rate(0.04) == "0")
        #expect(Readable.rate(3.21) == "3.2")
        #expect(Readable.rate(388.5) == "388")
        #expect(Readable.rate(1e300) != "?")
    }

    @Test("the status table is the contract's drawing, with what needs a person below")
    func statusTable() {
        var snapshot = Sample.snapshot()
        snapshot.groups[0].appliedPerSecond = 412
        snapshot.groups[1].lag = 818
        snapshot.groups[1].appliedPerSecond = 388.5
        snapshot.groups[2].appliedPerSecond = 0
        #expect(
            StatusTable.text(snapshot) == """
                production · 10.0.0.1:6379/0 · db.internal:5432/shop · onewrite

                GROUP      LAG  BEHIND  PEND  OLDEST  DEAD  APND/S  APPL/S  CATCH UP  WORKERS
                postgres     0       –    12    0.4s     0     300     412         –        2
                stock      818    1.2s    64    2.1s     0     300     388      9.2s        2
                delivery  1204  3m 12s   128   41.7s     2     300       0     never        0

                ! delivery: no worker: onewrite worker --group delivery
                ! delivery: 2 dead letters: onewrite dead list --group delivery

                """)
    }

    @Test("in the status table the unknown is a question mark, and a server that is away is named")
    func statusOfTheUnknown() {
        let snapshot = Snapshot(
            at: Sample.at, environment: Sample.stores, partitions: nil, redis: .reachable(version: "7.0.15"),
            postgres: .unreachable(error: "connection refused\u{1B}[31m"),
            groups: [
                Sample.group(
                    "postgres", lag: nil, pending: nil, oldest: nil, dead: nil, appended: nil, rate: nil, workers: nil)
            ],
            warnings: [Snapshot.Warning(code: "stalled", group: "stock", partition: 3, hint: "no such SKU")])
        #expect(
            StatusTable.text(snapshot) == """
                production · 10.0.0.1:6379/0 · db.internal:5432/shop · onewrite

                GROUP     LAG  BEHIND  PEND  OLDEST  DEAD  APND/S  APPL/S  CATCH UP  WORKERS
                postgres    ?       ?     ?       ?     ?       ?       ?         ?        ?

                ! postgres can't be reached: connection refused�[31m
                ! stock, partition 3: no such SKU

                """)
    }

    @Test(
        "the time to catch up: lag by what is applied above what is appended, as far as all of them are known",
        arguments: [
            (0, nil, nil, .after(seconds: 0), "–"), (818, 300, 388.5, .after(seconds: 818 / 88.5), "9.2s"),
            (388, 300, 388, .after(seconds: 388.0 / 88), "–"), (818, 400, 400, .never, "never"),
            (1, 5, 0, .never, "never"), (nil, 300, 388, .unknown, "?"), (818, nil, 388, .unknown, "?"),
            (818, 300, nil, .unknown, "?"), (818, .infinity, 388, .unknown, "?"),
        ] as [(Int?, Double?, Double?, Snapshot.CatchUp, String)])
    func catchUp(lag: Int?, appended: Double?, applied: Double?, expected: Snapshot.CatchUp, text: String) {
        let group = Sample.group("stock", lag: lag, appended: appended, rate: applied)
        #expect(group.catchUp == expected)
        #expect(Readable.catchUp(group) == text)
    }

    @Test("a group with nothing pending has no oldest entry, which is not the same as not knowing")
    func nothingPending() {
        #expect(Readable.oldest(Sample.group("stock", pending: 0, oldest: nil)) == "–")
        #expect(Readable.oldest(Sample.group("stock", pending: nil, oldest: nil)) == "?")
        #expect(Readable.behind(Sample.group("stock", lag: 0)) == "–")
        #expect(Readable.behind(Sample.group("stock", lag: 3)) == "?")
    }
}

@Suite("Sparkline")
struct SparklineTests {
    private func line(_ rates: [Double?], columns: Int = 12) -> String {
        var history = RateHistory()
        for (second, rate) in rates.enumerated() { history.add(rate, at: .seconds(second)) }
        return history.sparkline(columns: columns, now: .seconds(max(0, rates.count - 1)), gap: .seconds(3))
    }

    @Test("a minute is spread over the columns, each with the mean of its time")
    func minute() {
        #expect(line((0..<60).map { Double($0 / 5 % 2) * 100 }) == "▁█▁█▁█▁█▁█▁█")
        #expect(line((0..<60).map { Double($0 / 5) }) == "▁▂▃▃▄▅▅▆▇▇██")
    }

    @Test("what isn't known yet is empty, a known zero is the base line")
    func unknown() {
        #expect(line([0, 0, 0, 0, 0, 7]) == "          ▁█")
        #expect(line(Array(repeating: nil, count: 60)) == String(repeating: " ", count: 12))
        #expect(line(Array(repeating: 50, count: 20) + Array(repeating: nil, count: 40)) == "████        ")
    }

    @Test("it forgets what is older than a minute, however often it is fed")
    func forgets() {
        var history = RateHistory()
        for step in 0..<100_000 { history.add(1, at: .milliseconds(step * 10)) }
        #expect(
            Mirror(reflecting: history).descendant("samples").map { Mirror(reflecting: $0).children.count } ?? 0 < 2000)
        #expect(history.sparkline(columns: 6, now: .seconds(2000), gap: .seconds(3)) == "      ")
    }
}
