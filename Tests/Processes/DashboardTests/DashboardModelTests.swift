import Reports
import Testing

@testable import Dashboard

@Suite("Dashboard model")
struct DashboardModelTests {
    private var model = Sample.model(width: 80, height: 24)

    private mutating func press(_ keys: Key...) -> [DashboardModel.Action] {
        keys.map { model.handle($0) }
    }

    /// What the loop does after a change of the query.
    private mutating func answer() {
        model.update(Sample.answer(model.query, after: 61), at: .seconds(61))
    }

    @Test("it starts on the group that needs a person, and asks for its pending entries")
    func start() {
        #expect(model.query == PageQuery(group: "delivery", partition: nil, limit: 200))
        #expect(model.focus == .groups)
    }

    @Test("moving in the groups changes what the other panes show and what is asked for")
    mutating func moving() {
        #expect(press(.up) == [.none])
        #expect(model.query.group == "stock")
        #expect(model.render().text.contains { $0.contains("Partitions of stock") })
        #expect(model.render().text.contains { $0.contains("reading…") })
        _ = press(.character("k"), .up, .up)
        #expect(model.query.group == "postgres")
        _ = press(.end)
        #expect(model.query.group == "delivery")
        _ = press(.home, .character("j"))
        #expect(model.query.group == "stock")
    }

    @Test("enter opens a group, then a partition, then an entry; Esc goes the same way back")
    mutating func openAndBack() {
        _ = press(.enter)
        #expect(model.focus == .partitions)
        _ = press(.down, .down, .down, .enter)
        #expect(model.focus == .pending)
        #expect(model.query == PageQuery(group: "delivery", partition: 3, limit: 200))
        #expect(model.pendingEntries.allSatisfy { $0.partition == 3 })
        answer()
        _ = press(.enter)
        #expect(model.overlay == .entry(model.pendingEntries[0], isPending: true))
        #expect(model.render().text.contains { $0.contains("Change     ord-7717") })
        _ = press(.escape)
        #expect(model.overlay == nil)
        _ = press(.escape)
        #expect(model.focus == .partitions)
        #expect(model.query.partition == nil)
        #expect(model.partitionsPane.index == 3)
        _ = press(.escape)
        #expect(model.focus == .groups)
        #expect(press(.escape) == [.none])
    }

    @Test("q goes back and quits at the top; Ctrl-C quits from everywhere")
    mutating func quitting() {
        _ = press(.tab, .character("?"))
        #expect(press(.character("q"), .character("q"), .character("q")) == [.none, .none, .quit])
        _ = press(.tab, .character("/"), .character("x"))
        #expect(press(.control("c")) == [.quit])
    }

    @Test("tab and shift-tab go around the panes")
    mutating func panes() {
        var seen: [Pane] = []
        for key in [Key.tab, .tab, .tab, .tab, .backTab, .backTab] {
            _ = press(key)
            seen.append(model.focus)
        }
        #expect(seen == [.partitions, .pending, .dead, .groups, .dead, .pending])
    }

    @Test("a filter takes typed text, q too; enter keeps it, Esc clears it")
    mutating func filter() {
        _ = press(.tab, .tab, .character("/"))
        for character in "ORD-772q" { _ = press(.character(character)) }
        #expect(model.pendingEntries.isEmpty)
        #expect(model.render().text.contains { $0.contains("nothing matches “ORD-772q”") })
        _ = press(.backspace)
        #expect(model.pendingEntries.map(\.id) == (7720...7729).map { "ord-\($0)" })
        _ = press(.enter)
        #expect(!model.isEditingFilter)
        #expect(model.render().text.contains { $0.contains("/ORD-772 · 1/10 ↓") })
        _ = press(.escape)
        #expect(model.pendingEntries.count == 128)
        #expect(model.focus == .pending)
        _ = press(.character("/"), .character("x"), .escape)
        #expect(model.pendingPane.filter.isEmpty)
    }

    @Test("a filter doesn't grow without end")
    mutating func filterEnds() {
        _ = press(.character("/"))
        for _ in 0..<200 { _ = press(.character("日")) }
        #expect(model.groupsPane.filter.count == DashboardModel.filterCharactersMax)
        #expect(model.render().text.allSatisfy { $0.columns <= 80 })
    }

    @Test("s goes through the orders; the selection stays on its row")
    mutating func sorting() {
        #expect(model.groups.map(\.name) == ["postgres", "stock", "delivery"])
        _ = press(.character("s"))
        #expect(model.groups.map(\.name) == ["delivery", "stock", "postgres"])
        #expect(model.selectedGroup?.name == "delivery")
        #expect(model.groupsPane.index == 0)
        #expect(model.render().text[2].contains("lag ↓ · 1s"))
        for _ in 0..<4 { _ = press(.character("s")) }
        #expect(model.groups.map(\.name) == ["postgres", "stock", "delivery"])
    }

    @Test("the unknown is sorted to the end")
    mutating func sortingUnknown() {
        var snapshot = Sample.snapshot()
        snapshot.groups[0].lag = nil
        model.update(snapshot, at: .seconds(61))
        _ = press(.character("s"))
        #expect(model.groups.map(\.name) == ["delivery", "stock", "postgres"])
    }

    @Test("the selection follows its entry when older ones go, and takes the next when its own goes")
    mutating func following() {
        _ = press(.tab, .tab, .down, .down)
        let selected = model.selectedEntry
        #expect(selected?.id == "ord-7716")
        var snapshot = Sample.answer(model.query)
        snapshot.pendingPage?.entries.removeFirst(2)
        model.update(snapshot, at: .seconds(61))
        #expect(model.selectedEntry == selected)
        #expect(model.pendingPane.index == 0)
        snapshot.pendingPage?.entries.removeFirst(1)
        model.update(snapshot, at: .seconds(62))
        #expect(model.selectedEntry?.id == "ord-7717")
    }

    @Test("the details of an entry say when it was acknowledged meanwhile")
    mutating func acknowledged() {
        _ = press(.tab, .tab, .enter)
        var snapshot = Sample.answer(model.query)
        snapshot.pendingPage?.entries.removeFirst()
        model.update(snapshot, at: .seconds(61))
        let text = model.render().text
        #expect(text.contains { $0.contains("Change     ord-7714") })
        #expect(text.contains { $0.contains("acknowledged: no longer pending") })
    }

    @Test("the selected row is always in sight, through pages, ends and resizing")
    mutating func inSight() {
        _ = press(.tab, .tab)
        func isInSight() -> Bool {
            guard let entry = model.selectedEntry?.entry else { return false }
            return model.render().text.contains { $0.contains("▸" + entry) }
        }
        for key in [Key.pageDown, .pageDown, .end, .up, .pageUp, .home, .down, .end] {
            _ = press(key)
            #expect(isInSight(), "after \(key)")
        }
        for height in [12, 40, 18, 24] {
            model.resize(to: ScreenSize(width: 80, height: height))
            #expect(isInSight(), "at height \(height)")
        }
        #expect(model.pendingPane.index == 127)
    }

    @Test("pausing freezes the picture and going on refreshes it")
    mutating func pausing() {
        model.resize(to: ScreenSize(width: 120, height: 24))
        #expect(press(.character("p")) == [.none])
        #expect(model.isPaused)
        model.advance(to: .seconds(300))
        let text = model.render().text
        #expect(text[0].hasSuffix("paused  14:03:31Z"))
        #expect(!text.contains { $0.contains("no new data") })
        #expect(text[4].contains("█"))
        #expect(press(.character("r")) == [.refresh])
        #expect(press(.character("p")) == [.refresh])
    }

    @Test("when Redis is away Postgres stays what it is, and the last known rows don't look alive")
    mutating func failing() {
        let error = "redis: connection refused\u{1B}[2J"
        model.fail(
            Snapshot.Unavailable(
                error: error, redis: .unreachable(error: error), postgres: .reachable(version: "15.20")),
            at: .seconds(61))
        model.advance(to: .seconds(72))
        let text = model.render().text
        #expect(text[0].contains("redis !○ unreachable   postgres ● 15.20"))
        #expect(text[2] == " ! no new data for 12s · trying again · redis: connection refused�[2J")
        #expect(text[3].hasSuffix(" ~ 12s ago ─┐") && text.filter { $0.contains("~ 12s ago") }.count == 4)
        // Rate and workers are unknown, and every row is marked.
        #expect(text[5].contains(/│~ postgres +0 +– +12 +0 +\? +\? +\? +\?/), "\(text[5])")
        #expect(text[7].contains(/│~▸delivery +1 204 +!3m 12s +128 +!2 +\? +\? +\? +\?/), "\(text[7])")
        #expect(text.contains { $0.contains(/│~ 0 +4 012 +3 711 +150 +16  \? +9  \?/) })
        #expect(text.contains { $0.contains(/│~ 1763905309512-0 .* ord-7714 +\?/) })
        #expect(text[22] == " ! ~ 12s ago: delivery: no worker: onewrite worker --group delivery   w: 1 more")
        let dim = model.render().rows[5].filter { $0.character?.isLetter ?? false }
        #expect(!dim.isEmpty && dim.allSatisfy { $0.style.isDim })
        model.update(Sample.answer(model.query, after: 73), at: .seconds(73))
        #expect(model.render().text[0].contains("redis ● 7.0.15   postgres ● 15.20"))
        #expect(!model.render().text.contains { $0.contains("trying again") || $0.contains("~") })
    }

    @Test("when both are away both are marked; when nobody knows, both are a question mark")
    mutating func bothAway() {
        let away = Snapshot.Server.unreachable(error: "connection refused")
        model.fail(Snapshot.Unavailable(error: "redis: gone", redis: away, postgres: away), at: .seconds(61))
        #expect(model.render().text[0].contains("redis !○ unreachable   postgres !○ unreachable"))
        #expect(model.render().text[22].hasPrefix(" ! postgres can't be reached: connection refused"))
        model.update(Sample.answer(model.query, after: 62), at: .seconds(62))
        model.advance(to: .seconds(70))
        #expect(model.render().text[0].contains("redis ?   postgres ?"))
    }

    @Test("the environment is on every screen, and its label is never cut")
    mutating func environment() {
        let long = Snapshot.Environment(
            label: "production-of-the-eastern-region", color: .red,
            redis: "redis-master-0.redis.shop.svc.cluster.local:6379/12",
            postgres: "postgres-primary.shop.svc.cluster.local:5432/orders", namespace: "onewrite", schema: "shop")
        for (stores, places) in [
            (Sample.stores, "10.0.0.1:6379/0 · db.internal:5432/shop · onewrite"), (long, "redis-"),
        ] {
            let label = stores.label ?? ""
            for (width, height) in [(60, 12), (80, 24), (120, 40)] {
                var model = DashboardModel(
                    of: stores, interval: .seconds(1), size: ScreenSize(width: width, height: height))
                // Connecting, failing, with rows, with each box over them, stale.
                func check(_ what: String) {
                    let text = model.render().text
                    #expect(text[1].hasPrefix("  \(label)  ") && text[1].columns <= width, "\(what): \(text[1])")
                    if width == 80 {
                        #expect(text[1].contains(places.prefix(6)) && (label.count > 10 || text[1].hasSuffix(places)))
                    }
                }
                check("connecting")
                model.fail(Snapshot.Unavailable(error: "gone"), at: .zero)
                check("failed")
                model.update(Sample.answer(model.query), at: .seconds(1))
                check("rows")
                for keys: [Key] in [
                    [.character("?")], [.escape, .character("w")], [.escape, .tab, .tab, .enter, .enter],
                ] {
                    for key in keys { _ = model.handle(key) }
                    check("box")
                }
                model.advance(to: .seconds(60))
                check("stale")
            }
            let small = DashboardModel(of: stores, interval: .seconds(1), size: ScreenSize(width: 40, height: 6))
            #expect(small.render().text.contains { $0.contains(label) })
            let reversed = Sample.model(width: 80, height: 24).render().rows[1].prefix(14).filter(\.style.isReversed)
            #expect(String(reversed.compactMap(\.character)) == " production ")
        }
        #expect(long.places(columns: 40) == "redis…79/12 · postg…rders · onewri… shop")
        let bare = Snapshot.Environment(
            label: nil, color: nil, redis: "127.0.0.1:6379/0", postgres: nil, namespace: "onewrite", schema: "onewrite")
        let unnamed = DashboardModel(of: bare, interval: .seconds(1), size: ScreenSize(width: 80, height: 24))
        #expect(unnamed.render().text[1] == " 127.0.0.1:6379/0 · no postgres · onewrite")
    }

    @Test("a snapshot that doesn't come shows its age; one that is a little late doesn't")
    mutating func stale() {
        model.advance(to: .seconds(63))
        #expect(model.banner == nil)
        model.advance(to: .seconds(64))
        #expect(model.banner == "no new data for 4s · waiting for an answer")
    }

    @Test("a server that can't be reached is marked and named, the other keeps its mark")
    mutating func unreachable() {
        var snapshot = Sample.snapshot()
        snapshot.postgres = .unreachable(error: "connection refused")
        model.update(snapshot, at: .seconds(61))
        let text = model.render().text
        #expect(text[0].contains("redis ● 7.0.15   postgres !○ unreachable"))
        snapshot.redis = .reachable(version: "9.1.2", name: "valkey")
        model.update(snapshot, at: .seconds(62))
        #expect(model.render().text[0].contains("valkey ● 9.1.2   postgres !○ unreachable"))
        #expect(text[22].hasPrefix(" ! postgres can't be reached: connection refused   w: 2 more"))
    }

    @Test("the error of the partition on which the reader is stands below, marked")
    mutating func partitionError() {
        var snapshot = Sample.snapshot()
        snapshot.groups[2].partitions[1].state = .stalled
        snapshot.groups[2].partitions[1].error = "no such SKU: TEA-250"
        model.update(snapshot, at: .seconds(61))
        _ = press(.tab, .down)
        let text = model.render().text
        #expect(text.contains { $0.contains("▸1") && $0.contains("!stalled") })
        #expect(text[22].hasPrefix(" ! partition 1: no such SKU: TEA-250"))
    }

    @Test("only what needs a person is marked")
    func marks() {
        #expect(!Sample.group("stock").needsPerson)
        #expect(Sample.group("stock", oldest: 30_000).needsPerson)
        #expect(Sample.group("stock", dead: 1).needsPerson)
        #expect(Sample.group("stock", workers: []).needsPerson)
        #expect(!Sample.group("stock", oldest: nil, dead: nil, workers: nil).needsPerson)
        var group = Sample.group("stock")
        group.partitions[0].state = .unowned
        #expect(!group.needsPerson, "another worker takes it over")
        group.partitions[0].state = .halted
        #expect(group.needsPerson)
    }
}
