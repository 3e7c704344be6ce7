import ChangeInput
import Connections
import Harness
import OrderLog
import RedisLog
import Testing

@testable import Submission

/// What a submission decides, without a socket.
@Suite("Submission, as a state machine")
struct SubmissionStateMachineTests {
    @Test("calls of several partitions travel together, and what came meanwhile goes with the next")
    func groupCommit() {
        var player = Player()
        (0..<7).forEach { player.add(Player.change($0)) }
        player.step()
        guard case .send(let partitions) = player.actions[0] else {
            Issue.record("\(player.actions)")
            return
        }
        #expect(Set(partitions.map(\.number)) == [0, 1, 2])
        (7..<700).forEach { player.add(Player.change($0)) }
        player.settle()
        let sends = player.actions.reduce(0) { if case .send(let calls) = $1 { $0 + calls.count } else { $0 } }
        #expect(sends == 6, "one call a partition under way, and one with all that came meanwhile")
        #expect(player.receipts.map(\.number) == Array(0..<700))
        #expect(player.log.problems + player.problems == [])
    }

    @Test("receipts come in the input's order, or as soon as they can")
    func order() {
        for inOrder in [true, false] {
            var player = Player(.init(busy: 400), inOrder: inOrder, seed: 3)
            (0..<200).forEach {
                player.add(Player.change($0))
                player.step()
            }
            player.finish()
            let numbers = player.receipts.map(\.number)
            #expect(numbers.sorted() == Array(0..<200))
            #expect((numbers == numbers.sorted()) == inOrder)
        }
    }

    @Test("without an answer it gives up at the time-out since the last progress: sent is unknown, the rest unsent")
    func givesUp() {
        var player = Player(.init(lostAnswer: 1000, noConnection: 1000))
        player.add(Player.change(0))
        player.step()
        player.add(Player.change(7))
        player.finish()
        guard case .gaveUp(let reason) = player.machine.end else {
            Issue.record("\(String(describing: player.machine.end))")
            return
        }
        #expect(reason == "nobody there")
        #expect(player.now - Player.start >= .seconds(10))
        #expect(player.now - Player.start < .seconds(11))
        #expect(player.receipts.map(\.id) == ["o-0", "o-7"])
        if case .unknown = player.receipts[0].outcome {} else { Issue.record("\(player.receipts[0])") }
        #expect(player.receipts[1].isUnsent)
    }

    @Test("asked to stop it sends nothing more, and waits a bounded time for what is in the air")
    func stops() {
        var player = Player(.init(closed: 1000), timeout: .seconds(3600))
        player.add(Player.change(0))
        player.step()
        player.step()
        player.add(Player.change(7))
        let stopped = player.now
        let stops = [player.machine.stop(at: stopped), player.machine.stop(at: stopped)]
        #expect(stops == [true, false])
        player.finish()
        #expect(player.now - stopped < .seconds(6))
        if case .stopped = player.machine.end {} else { Issue.record("\(String(describing: player.machine.end))") }
        #expect(player.log.entries == [[], [], []])
        #expect(player.receipts.filter(\.isUnsent).count == 2)
    }

    @Test("no log there, and another log there: the end, and nothing was sent")
    func wrongLog() {
        for reply in [Appender.Reply.noLog, .mismatch] {
            var player = Player()
            player.add(Player.change(0))
            player.step()
            let owed = player.machine.nextOwed()
            #expect(owed == .receive(Player.partition(of: Player.change(0))))
            player.machine.answered(Player.partition(of: Player.change(0)), reply, at: player.now)
            player.finish()
            guard case .failed(let error) = player.machine.end else {
                Issue.record("\(String(describing: player.machine.end))")
                continue
            }
            #expect(error.kind == (reply == .noLog ? .tryAgain : .badConfiguration))
            #expect(player.receipts.count == 1 && player.receipts[0].isUnsent)
        }
    }

    @Test("a server that became a replica gets nothing more, and is left once it owes nothing")
    func replica() {
        var player = Player(.init(replica: 1000))
        (0..<7).forEach { player.add(Player.change($0)) }
        for _ in 0..<4 { player.step() }
        player.log.trouble.replica = 0
        player.settle()
        let connects = player.actions.filter { $0 == .connect }
        #expect(connects.count == 1)
        #expect(player.receipts.count == 7)
        let at = player.actions.firstIndex(of: .connect) ?? 0
        let sends = player.actions[..<at].filter { if case .send = $0 { true } else { false } }
        #expect(sends.count == 1)
    }

    @Test("while there is no connection, new changes are no reason to knock more often")
    func knocks() {
        var player = Player(.init(lostAnswer: 1000, noConnection: 1000), timeout: .seconds(3600))
        player.slowness = .zero
        player.add(Player.change(0))
        while player.machine.isConnected { player.step() }
        let first = player.now
        for number in 1..<300 {
            player.add(Player.change(number))
            guard case .connect = player.machine.next(at: player.now) else { continue }
            player.machine.connectingFailed(LogError(.unreachable, "nobody"), isReplica: false, at: player.now)
        }
        // No time has passed: it has knocked at most once.
        #expect(player.now == first)
        guard case .pause(let until) = player.machine.next(at: player.now) else {
            Issue.record("it knocks again at once")
            return
        }
        #expect(until > player.now)
    }

    @Test("each thing is said once")
    func notices() {
        var player = Player(.init(closed: 900), seed: 5)
        (0..<70).forEach { player.add(Player.change($0)) }
        player.settle()
        let said = [player.machine.takeNotices(), player.machine.takeNotices()]
        #expect(said == [["the log is closed: waiting for a worker of group postgres to open it"], []])
    }

    /// Everything that can go wrong, at random: whatever a receipt says is so.
    @Test("what a receipt says is true, whatever breaks", arguments: [Durability.server, .replicas(1), .applied])
    func random(durability: Durability) {
        for seed in UInt64(0)..<200 {
            var generator = SeededGenerator(seed: seed)
            func some(_ most: Int) -> Int {
                Bool.random(using: &generator) ? 0 : Int.random(in: 0...most, using: &generator)
            }
            let trouble = FakeLog.Trouble(
                lostRequest: some(300), lostAnswer: some(300), closed: some(400), forgottenScript: some(200),
                busy: some(300), replica: some(200), noConnection: some(900),
                lostTail: durability == .server ? 0 : some(500), short: some(600))
            let timeout: Duration = .milliseconds(Int.random(in: 100...20_000, using: &generator))
            var player = Player(
                trouble, durability: durability, timeout: timeout, inOrder: Bool.random(using: &generator), seed: seed)
            player.slowness = .milliseconds(Int.random(in: 1...20, using: &generator))
            for number in 0..<Int.random(in: 1...(seed % 20 == 0 ? 2000 : 150), using: &generator)
            where player.machine.end == nil {
                // Some are submitted twice, and some of these are others by then.
                let isRepeat = number > 0 && Int.random(in: 0..<10, using: &generator) == 0
                let which = isRepeat ? Int.random(in: 0..<number, using: &generator) : number
                player.add(Player.change(which, customer: isRepeat && Bool.random(using: &generator) ? "other" : "c"))
                if Int.random(in: 1...20, using: &generator) == 0 { player.step() }
            }
            if Int.random(in: 0..<4, using: &generator) == 0 { _ = player.machine.stop(at: player.now) }
            player.finish()
            check(player, durability, "seed \(seed)")
        }
    }

    private func check(_ player: Player, _ durability: Durability, _ seed: Comment) {
        #expect(player.log.problems + player.problems == [], seed)
        #expect(player.receipts.map(\.number).sorted() == Array(player.added.indices), seed)
        let wasSentTwice = Dictionary(grouping: player.added, by: \.id).filter { $0.value.count > 1 }
        for receipt in player.receipts {
            let change = player.added[receipt.number]
            let entries = player.log.entries[Player.partition(of: change).number]
            let place = player.log.place(change.id, in: Player.partition(of: change))
            switch receipt.outcome {
            case .answered(let result, _, _) where result.outcome != .conflict:
                guard let place else {
                    Issue.record("\(change.id) is not in the log, \(seed)")
                    continue
                }
                #expect(result.seq.number == place + 1, seed)
                #expect(entries[place].digest == Digest(of: change).description, seed)
            case .answered:
                break
            case .unsent where wasSentTwice[change.id] == nil:
                #expect(place == nil, "\(change.id) is in the log, and was called unsent, \(seed)")
            case .unsent, .unknown, .rejected: break
            }
        }
        // The log has a partition's changes in the order in which they were first submitted.
        var seen: Set<String> = []
        let first = player.added.filter { seen.insert($0.id).inserted }
        for (number, entries) in player.log.entries.enumerated() {
            let wanted = first.filter { Player.partition(of: $0).number == number }.map(\.id)
            #expect(Set(entries.map(\.id)).count == entries.count, seed)
            #expect(entries.map(\.id) == wanted.prefix(entries.count).map { $0 }, seed)
        }
    }
}

extension RowReceipt {
    fileprivate var isUnsent: Bool { if case .unsent = outcome { true } else { false } }
}
