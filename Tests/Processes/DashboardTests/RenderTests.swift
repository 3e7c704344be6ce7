import Reports
import Testing

@testable import Dashboard

@Suite("Dashboard drawing")
struct RenderTests {
    @Test("80×24 has every group's lag in time, and all three panes")
    func eightyByTwentyFour() {
        let text = Sample.model(width: 80, height: 24).render().text
        #expect(text.joined(separator: "\n") == Golden.eightyByTwentyFour, "\n\(text.joined(separator: "\n"))")
    }

    @Test("120×40 has the whole minute, all partitions and more columns")
    func hundredTwentyByForty() {
        let text = Sample.model(width: 120, height: 40).render().text
        #expect(text.joined(separator: "\n") == Golden.hundredTwentyByForty, "\n\(text.joined(separator: "\n"))")
    }

    @Test("dead letters stand where pending entries stood, those of the selected group, with what can be done")
    func deadLetters() {
        var model = Sample.model(width: 80, height: 24)
        _ = model.handle(.character("d"))
        model.update(Sample.answer(model.query, after: 61), at: .seconds(61))
        let text = model.render().text
        #expect(text.joined(separator: "\n") == Golden.deadLetters, "\n\(text.joined(separator: "\n"))")
    }

    @Test("at 60×12 the focused pane has the screen to itself, with what needs a person in sight")
    func smallest() {
        var model = Sample.model(width: 60, height: 12)
        let text = model.render().text
        #expect(text[0] == " onewrite · 8 partitions   redis ●   postgres ●   14:03:31Z")
        #expect(text.contains { $0.contains("▸delivery") && $0.contains("!3m 12s") && $0.contains("!0") })
        #expect(text[11] == " ? help   tab pane   ⏎ open   / filter   s sort   q quit")
        _ = model.handle(.tab)
        #expect(model.render().text[2].hasPrefix("┌─ Partitions of delivery ─"))
    }

    @Test("below 60×12 it says so and waits", arguments: [(59, 12), (60, 11), (20, 5), (1, 1), (0, 0)])
    func tooSmall(width: Int, height: Int) {
        var model = Sample.model(width: width, height: height)
        let text = model.render().text
        #expect(text.count == height)
        if width > 50 {
            #expect(
                text.map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }
                    == ["terminal too small (\(width)×\(height)), needs 60×12", "production"])
        }
        #expect(model.handle(.tab) == .none)
        #expect(model.focus == .groups)
        #expect(model.handle(.character("q")) == .quit)
    }

    @Test("every size from the smallest on is filled to the edges, and no line is wider")
    func sizes() {
        for width in [60, 79, 80, 121, 200] {
            for height in [12, 18, 19, 24, 60] {
                var model = Sample.model(width: width, height: height, seconds: 3)
                model.fail(Snapshot.Unavailable(error: "gone"), at: .seconds(4))
                for keys: [Key] in [
                    [], [.tab], [.tab], [.enter], [.escape, .character("?")], [.escape, .character("w")],
                    [.escape, .character("d")], [.enter],
                ] {
                    for key in keys { _ = model.handle(key) }
                    let screen = model.render()
                    let text = screen.text
                    #expect(text.count == height)
                    #expect(text.allSatisfy { $0.columns <= width })
                    #expect(text.contains { $0.hasPrefix("└") && $0.hasSuffix("┘") && $0.columns == width })
                    #expect(text[height - 1].contains(model.overlay == nil ? "? help" : "esc close"))
                }
            }
        }
    }

    @Test("huge numbers, long names and hostile text keep the frame whole and the terminal safe")
    func hostile() {
        var snapshot = Sample.snapshot()
        let name = "日本語\u{1B}]0;owned\u{7}\u{202E}" + String(repeating: "w", count: 5000)
        for index in snapshot.groups.indices {
            snapshot.groups[index].name = name + String(index)
            snapshot.groups[index].lag = .max
            snapshot.groups[index].pending = .max
            snapshot.groups[index].dead = .max
            snapshot.groups[index].appliedPerSecond = .greatestFiniteMagnitude
            snapshot.groups[index].oldestPendingMilliseconds = .max
            for partition in snapshot.groups[index].partitions.indices {
                snapshot.groups[index].partitions[partition].owner = name
                snapshot.groups[index].partitions[partition].head = .max
                snapshot.groups[index].partitions[partition].token = .min
                snapshot.groups[index].partitions[partition].error = name
            }
        }
        snapshot.redis = .reachable(version: name)
        snapshot.postgres = .unreachable(error: name)
        snapshot.warnings = [Snapshot.Warning(code: "x", group: name, hint: name)]
        var entries = Sample.entries(50)
        for index in entries.indices {
            entries[index].entry = "\(index)\u{1B}[2J" + name
            entries[index].id = name
            entries[index].consumer = name
            entries[index].idleMilliseconds = .max
            entries[index].deliveries = .max
        }
        snapshot.pendingPage = Snapshot.PendingPage(group: name + "0", entries: entries, total: .max)
        snapshot.deadPage = Snapshot.DeadPage(
            letters: [
                DeadLetterLine(
                    letter: name, ageMilliseconds: .max, groups: [name + "0"], reason: name, error: name, shop: name,
                    id: name)
            ], total: .max, knowsPostgres: true)
        for (width, height) in [(60, 12), (80, 24), (120, 40), (300, 80)] {
            var model = DashboardModel(
                of: Sample.stores, interval: .seconds(1), size: ScreenSize(width: width, height: height))
            model.update(snapshot, at: .zero)
            model.fail(Snapshot.Unavailable(error: name), at: .seconds(1))
            for keys: [Key] in [
                [], [.tab], [.tab], [.enter], [.escape, .character("w")], [.escape, .character("d")], [.enter],
                [.escape, .character("D"), .character("日"), .character("\u{202E}")], [.enter],
            ] {
                for key in keys { _ = model.handle(key) }
                if case .deed(let deed, .planning) = model.overlay {
                    model.take(.success(Deed.Outcome(lines: [name], plan: "x")), of: deed, at: .seconds(2))
                }
                let screen = model.render()
                #expect(screen.text.allSatisfy { $0.columns <= width })
                // The terminal gets our own sequences and nothing else that starts one.
                let drawing = screen.drawing(over: nil, colored: true)
                #expect(!drawing.unicodeScalars.contains { $0.value < 0x20 && $0.value != 0x1B || $0.value == 0x202E })
                #expect(!drawing.contains("\u{1B}]"))
                #expect(Emulator(drawing, size: screen.size).text == screen.text)
            }
        }
    }

    @Test("an empty log, an unknown one and none yet each say what they are")
    func empty() {
        var model = DashboardModel(
            of: Sample.stores, interval: .milliseconds(250), size: ScreenSize(width: 80, height: 24))
        #expect(model.render().text.contains { $0.contains("connecting…") })
        #expect(model.query.group == nil)
        model.fail(Snapshot.Unavailable(error: "redis: connection refused"), at: .seconds(1))
        #expect(model.render().text[2] == " ! trying again · redis: connection refused")
        model.update(
            Snapshot(
                at: Sample.at, environment: Sample.stores, partitions: nil, redis: .reachable(version: "7.0.15"),
                postgres: .notConfigured,
                groups: [],
                warnings: []), at: .seconds(2))
        let text = model.render().text
        #expect(text[0].contains("? partitions  redis ● 7.0.15   postgres – not configured"))
        #expect(text.contains { $0.contains("no groups yet: onewrite init") })
        #expect(text[2].hasSuffix(" 250ms ─┐"))
        for key in [Key.enter, .tab, .enter, .down, .end, .tab, .enter, .character("s"), .escape] {
            #expect(model.handle(key) == .none)
        }
    }

    @Test("a redraw leads to the same screen as drawing it whole, whatever was pressed", arguments: [1, 2, 3])
    func differences(seed: UInt64) {
        var random = seed
        let keys: [Key] = [
            .tab, .backTab, .up, .down, .pageDown, .end, .home, .enter, .escape, .character("?"), .character("/"),
            .character("7"), .character("s"), .character("w"), .character("p"), .character("d"), .character("D"),
        ]
        var model = Sample.model(width: 80, height: 24)
        var screen = model.render()
        var emulator = Emulator(screen.drawing(over: nil, colored: true), size: screen.size)
        var pressed: [Key] = []
        for second in 61..<160 {
            // A linear congruential generator: Knuth's numbers.
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let key = keys[Int(random >> 33) % keys.count]
            pressed.append(key)
            _ = model.handle(key)
            if second % 3 == 0 { model.update(Sample.answer(model.query, after: Double(second)), at: .seconds(second)) }
            let next = model.render()
            emulator.write(next.drawing(over: screen, colored: true))
            #expect(emulator.text == next.text, "after \(pressed)")
            screen = next
        }
        #expect(screen.drawing(over: screen, colored: true) == "")
    }

    @Test("only rows that changed are written")
    func changedRows() {
        let before = Sample.model(width: 80, height: 24)
        var after = before
        _ = after.handle(.character("s"))
        _ = after.handle(.character("s"))
        // The groups' title names the order; everything else is the same.
        let changed = zip(before.render().text, after.render().text).filter { $0 != $1 }.count
        let drawing = after.render().drawing(over: before.render(), colored: false)
        #expect(drawing.split(separator: /\u{1B}\[[0-9]+;1H/).count == changed)
    }

    @Test("without colour nothing is coloured, and the text is the same")
    func noColor() {
        let screen = Sample.model(width: 80, height: 24).render()
        let plain = screen.drawing(over: nil, colored: false)
        #expect(!plain.contains(/\u{1B}\[[0-9;]*3[0-9]m/))
        #expect(screen.drawing(over: nil, colored: true).contains(/\u{1B}\[[0-9;]*31m/))
        #expect(Emulator(plain, size: screen.size).text == screen.text)
    }

    @Test("nothing that is put on a screen can command the terminal, whoever forgot to clean it")
    func put() {
        var screen = Screen(size: ScreenSize(width: 20, height: 1))
        screen.put("a\u{1B}[2J\u{202E}\u{9B}1m\n", row: 0, column: 0)
        #expect(screen.text == ["a�[2J��1m�"])
    }

    @Test("writing over half a wide character takes its other half away")
    func wideOverwritten() {
        var screen = Screen(size: ScreenSize(width: 8, height: 1))
        screen.put("日本", row: 0, column: 1)
        screen.put("x", row: 0, column: 2)
        #expect(screen.text == ["  x本"])
        screen.put("y", row: 0, column: 3)
        #expect(screen.text == ["  xy"])
        screen.put("日", row: 0, column: 7)
        #expect(screen.text == ["  xy"])
    }
}
