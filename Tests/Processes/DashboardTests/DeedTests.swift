import Reports
import Testing

@testable import Dashboard

/// What changes something: planned, looked at, and done after a yes.
@Suite("Dashboard deeds")
struct DeedTests {
    private var model = Sample.model(width: 80, height: 24)

    private mutating func press(_ keys: Key...) -> [DashboardModel.Action] {
        keys.map { model.handle($0) }
    }

    private mutating func type(_ text: String) {
        for character in text { _ = model.handle(.character(character)) }
    }

    private mutating func showDeadLetters() {
        _ = press(.character("d"))
        model.update(Sample.answer(model.query, after: 61), at: .seconds(61))
    }

    private func shows(_ text: String) -> Bool { model.render().text.contains { $0.contains(text) } }

    @Test("d shows the selected group's dead letters, asks for them only then, and goes back")
    mutating func pane() {
        #expect(!model.query.withDead)
        _ = press(.character("d"))
        #expect(model.query.withDead && model.focus == .dead && shows("reading…"))
        model.update(Sample.answer(model.query, after: 61), at: .seconds(61))
        #expect(model.deadLetters.map(\.letter) == ["5:118", "2:7"])
        _ = press(.escape, .up)
        #expect(model.selectedGroup?.name == "stock" && model.query.withDead)
        #expect(model.deadLetters.map(\.letter) == ["5:118", "1:1763905309512-0"])
        _ = press(.character("d"), .character("d"))
        #expect(model.focus == .pending && !model.query.withDead)
    }

    @Test("no letters are none, and unknown ones are unknown")
    mutating func noLetters() {
        _ = press(.home, .character("d"))
        var snapshot = Sample.answer(model.query, after: 61)
        snapshot.deadPage = Snapshot.DeadPage(letters: [], total: 0, knowsPostgres: true)
        model.update(snapshot, at: .seconds(61))
        #expect(model.selectedGroup?.name == "postgres" && shows("no dead letters"))
        snapshot.deadPage?.knowsPostgres = false
        model.update(snapshot, at: .seconds(62))
        #expect(!shows("no dead letters"))
        #expect(press(.character("R"), .character("D"), .enter) == [.none, .none, .none])
        #expect(model.overlay == nil)
    }

    @Test("retry: the plan first, then a yes, then what became of it")
    mutating func retry() {
        showDeadLetters()
        _ = press(.down)
        let deed = Deed.retry(letter: "2:7")
        #expect(press(.character("R")) == [.perform(deed, confirming: nil)])
        #expect(shows("asking what it would do"))
        #expect(press(.character("y")) == [.none], "nothing is confirmed before it is seen")
        model.take(.success(Deed.Outcome(lines: ["2:7  ord-9  to be appended again"], plan: "p1")), of: deed, at: .zero)
        #expect(shows("to be appended again") && shows("y do it"))
        #expect(press(.enter, .character("x"), .character("Y")) == [.none, .none, .none], "a yes is y alone")
        #expect(press(.character("y")) == [.perform(deed, confirming: "p1")])
        #expect(shows("doing it…"))
        #expect(press(.escape, .character("y")) == [.none, .none], "it can't be taken back, nor done twice")
        model.take(.success(Deed.Outcome(lines: ["2:7  ord-9  retried as 2:9"])), of: deed, at: .zero)
        #expect(shows("Done:") && shows("retried as 2:9"))
        #expect(press(.enter) == [.refresh])
        #expect(model.overlay == nil && model.focus == .dead)
    }

    @Test("drop asks for a reason first; a blank one is none", arguments: ["a test, never to be delivered"])
    mutating func drop(reason: String) {
        showDeadLetters()
        #expect(press(.character("D"), .enter) == [.none, .none])
        type("  ")
        #expect(press(.enter) == [.none] && shows("Why? It is recorded with your name."))
        #expect(press(.control("u")) == [.none])
        type(reason + "xq")
        #expect(press(.backspace, .backspace) == [.none, .none])
        #expect(shows("› \(reason)▏"))
        #expect(press(.enter) == [.perform(.drop(letter: "5:118", reason: reason), confirming: nil)])
    }

    @Test("a reason doesn't grow beyond what can be recorded")
    mutating func longReason() {
        showDeadLetters()
        _ = press(.character("D"))
        for _ in 0..<500 { _ = press(.character("日")) }
        guard case .reason(let deed) = model.overlay else {
            Issue.record("no reason is asked for")
            return
        }
        #expect(deed.reason?.utf8.count == 999)
        #expect(model.render().text.allSatisfy { $0.columns <= 80 })
    }

    @Test("take is for what stalls: a served partition is left alone")
    mutating func take() {
        var snapshot = Sample.answer(model.query, after: 61)
        snapshot.groups[1].partitions[2].state = .stalled
        snapshot.groups[1].partitions[2].error = "value is not an integer"
        model.update(snapshot, at: .seconds(61))
        _ = press(.up, .tab, .character("T"))
        #expect(shows("nothing is stalled"))
        _ = press(.escape, .down, .down)
        #expect(shows("T take"))
        #expect(press(.character("T")) == [.none])
        type("beyond 2^53")
        #expect(
            press(.enter)
                == [.perform(.take(group: "stock", partition: 2, reason: "beyond 2^53"), confirming: nil)])
    }

    @Test("what is refused, fails, or has nothing to do says so, and nothing can be confirmed")
    mutating func refused() {
        showDeadLetters()
        let deed = Deed.retry(letter: "5:118")
        _ = press(.character("R"))
        model.take(.success(Deed.Outcome(lines: ["5:118  refused: stock applied it"])), of: deed, at: .zero)
        #expect(shows("Nothing to do:") && shows("stock applied it") && !shows("y do it"))
        #expect(press(.character("y"), .escape) == [.none, .none])
        _ = press(.character("R"))
        model.take(.failure(DeedFailure("redis: connection refused")), of: deed, at: .zero)
        #expect(shows("! Nothing was changed:") && shows("connection refused"))
        _ = press(.enter, .character("R"))
        model.take(.success(Deed.Outcome(lines: ["x"], plan: "p")), of: deed, at: .zero)
        _ = press(.character("y"))
        model.take(.failure(DeedFailure("postgres: connection lost")), of: deed, at: .zero)
        #expect(shows("! Not known to be done:") && shows("connection lost"))
    }

    @Test("an answer that comes when its box is closed, or another deed's, opens nothing")
    mutating func late() {
        showDeadLetters()
        _ = press(.character("R"), .escape)
        model.take(.success(Deed.Outcome(lines: ["x"], plan: "p")), of: .retry(letter: "5:118"), at: .zero)
        #expect(model.overlay == nil)
        _ = press(.down, .character("R"))
        model.take(.success(Deed.Outcome(lines: ["x"], plan: "p")), of: .retry(letter: "5:118"), at: .zero)
        #expect(model.overlay == .deed(.retry(letter: "2:7"), .planning))
    }
}
