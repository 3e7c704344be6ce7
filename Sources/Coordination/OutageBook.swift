package import OrderLog

/// Who meets trouble: a part of a worker's process.
package enum Witness: Hashable, Sendable {
    case start
    case coordinator
    case trimmer
    /// Who counts what may be sold.
    case admission
    case lane(Int)
    case partition(Partition)
    /// One of them in a process that serves several groups.
    indirect case of(Group, Witness)

    fileprivate var partition: Partition? {
        switch self {
        case .partition(let partition): partition
        case .of(_, let witness): witness.partition
        case .start, .coordinator, .trimmer, .admission, .lane: nil
        }
    }
}

/// What is in trouble.
package enum OutageSubject: Hashable, Sendable {
    /// A server, for whoever needs it.
    case server(StoreError.Store)
    /// The log is not there yet.
    case log
    /// Partitions that wait for the same reason; a person has to decide about those that are halted.
    case partitions(reason: String, isHalted: Bool)
    /// Anything else.
    case other(String)
}

/// Which outages there are, and which lines tell of them: one when an outage begins, one when it ends, with its length, and
/// one a minute in between; however many threads and partitions meet it.
///
/// Pure; ``Outages`` shares it between threads.
package struct OutageBook: Sendable {
    /// A line for people.
    package struct Line: Hashable, Sendable {
        package enum Level: Sendable { case info, warning, error }

        package let level: Level
        package let text: String
    }

    private struct Outage {
        var began: ContinuousClock.Instant
        var toldAt: ContinuousClock.Instant?
        /// Who is in it.
        var present: Set<Witness> = []
        /// Who has been in it.
        var all: Set<Witness> = []
        /// What was told of it that needs a person.
        var pressing: Set<String> = []
    }

    /// How often an outage that goes on is told again.
    package static let reminder: Duration = .seconds(60)
    /// What is met so soon after an outage's end, mostly by a thread that notices late, is told when it lasts.
    static let settling: Duration = .seconds(5)
    static let lasting: Duration = .seconds(2)

    private var outages: [OutageSubject: Outage] = [:]
    /// When outages that are over were told last: partitions go to and fro between reasons.
    private var tolds: [OutageSubject: ContinuousClock.Instant] = [:]
    /// Ends of servers' outages.
    private var ends: [OutageSubject: ContinuousClock.Instant] = [:]
    /// Since when somebody has been in trouble other than a server's, for one reason or another.
    private var since: [Witness: ContinuousClock.Instant] = [:]

    package init() {}

    /// Takes trouble in, each time that it is met.
    ///
    /// - Parameters:
    ///   - subject: What is in trouble.
    ///   - reason: Why, in the server's own words where it has any.
    ///   - witness: Who met it.
    ///   - isPressing: Whether it won't pass without a person: it is told although the outage was told for another reason.
    ///   - now: The moment.
    /// - Returns: A line, if one is due.
    package mutating func note(
        _ subject: OutageSubject, _ reason: String, by witness: Witness, isPressing: Bool = false,
        at now: ContinuousClock.Instant
    ) -> Line? {
        if !subject.isServer {
            // For one reason at a time.
            for other in outages.keys where other != subject && !other.isServer { leave(other, witness) }
            since[witness] = since[witness] ?? now
        }
        tolds = tolds.filter { $0.value.duration(to: now) < Self.reminder }
        var outage = outages[subject] ?? Outage(began: now, toldAt: tolds[subject])
        if let first = since[witness], !subject.isServer { outage.began = min(outage.began, first) }
        outage.present.insert(witness)
        outage.all.insert(witness)
        defer { outages[subject] = outage }
        if let toldAt = outage.toldAt {
            if toldAt.duration(to: now) >= Self.reminder {
                outage.toldAt = now
                let length = Self.text(of: outage.began.duration(to: now))
                return line(subject, Self.still(subject, outage.present, length, reason))
            }
            guard isPressing, outage.pressing.insert(reason).inserted else { return nil }
        } else {
            if let end = ends[subject], end.duration(to: outage.began) < Self.settling,
                outage.began.duration(to: now) < Self.lasting
            {
                return nil
            }
            if isPressing { outage.pressing.insert(reason) }
        }
        outage.toldAt = now
        return line(subject, Self.beginning(subject, witness, reason))
    }

    /// Everything that a witness met is over.
    ///
    /// - Parameters:
    ///   - witness: Who.
    ///   - server: Only with this server; nil for all.
    ///   - now: The moment.
    /// - Returns: Lines about outages that ended with it.
    package mutating func over(
        for witness: Witness, with server: StoreError.Store? = nil, at now: ContinuousClock.Instant
    ) -> [Line] {
        // Nearly always there is none.
        if outages.isEmpty { return [] }
        var lines: [Line] = []
        for subject in outages.keys where server.map({ subject == .server($0) }) ?? true {
            let wasPresent = outages[subject]?.present.remove(witness) != nil
            guard let outage = outages[subject], outage.present.isEmpty else { continue }
            // The last one forgot it: whoever was in it too, and is well, tells its end.
            guard wasPresent || outage.all.contains(witness) else { continue }
            outages[subject] = nil
            tolds[subject] = nil
            ends = ends.filter { $0.value.duration(to: now) < Self.settling }
            if subject.isServer { ends[subject] = now }
            guard outage.toldAt != nil else { continue }
            let length = Self.text(of: outage.began.duration(to: now))
            lines.append(Line(level: .info, text: Self.end(subject, outage.all, length)))
        }
        if server == nil { since[witness] = nil }
        return lines
    }

    /// A witness meets nothing any more, for another reason than that it is over.
    package mutating func forget(_ witness: Witness) {
        for subject in outages.keys { leave(subject, witness) }
        since[witness] = nil
    }

    private mutating func leave(_ subject: OutageSubject, _ witness: Witness) {
        guard outages[subject]?.present.remove(witness) != nil else { return }
        guard let outage = outages[subject], outage.present.isEmpty else { return }
        // A lane that lost its partitions knows nothing of the server; its end has to be told all the same.
        if subject.isServer, outage.toldAt != nil, outage.all.count > 1 { return }
        outages[subject] = nil
        tolds[subject] = outage.toldAt
    }
}

extension OutageSubject {
    fileprivate var isServer: Bool { if case .server = self { true } else { false } }
}

// What is said.
extension OutageBook {
    private func line(_ subject: OutageSubject, _ text: String) -> Line {
        if case .partitions(_, isHalted: true) = subject { return Line(level: .error, text: text) }
        return Line(level: .warning, text: text)
    }

    private static func beginning(_ subject: OutageSubject, _ witness: Witness, _ reason: String) -> String {
        switch subject {
        case .server(let store): "waiting for \(store.rawValue): \(reason)"
        case .log: "waiting for the log: \(reason)"
        case .partitions(_, isHalted: true): "halted: \(reason)"
        case .partitions: "\(list([witness])): \(reason). Trying again"
        case .other: "\(reason). Trying again"
        }
    }

    private static func still(
        _ subject: OutageSubject, _ present: Set<Witness>, _ length: String, _ reason: String
    ) -> String {
        switch subject {
        case .server(let store): "still waiting for \(store.rawValue), for \(length): \(reason)"
        case .log: "still waiting for the log, for \(length): \(reason)"
        case .partitions(_, isHalted: true): "still halted, for \(length): \(reason)"
        case .partitions: "\(list(present)): still, for \(length): \(reason)"
        case .other: "still, for \(length): \(reason)"
        }
    }

    private static func end(_ subject: OutageSubject, _ all: Set<Witness>, _ length: String) -> String {
        switch subject {
        case .server(let store): "\(store.rawValue) is back after \(length)"
        case .log: "the log is there after \(length)"
        case .partitions: "\(list(all)): serving again after \(length)"
        case .other(let what): "over after \(length): \(what)"
        }
    }

    private static func list(_ witnesses: Set<Witness>) -> String {
        Set(witnesses.compactMap(\.partition)).sorted().list
    }

    /// `0.3 s`, `12.3 s`, `3 min 20 s`, `5 h 2 min`.
    static func text(of length: Duration) -> String {
        let tenths = Int(length / .milliseconds(100))
        if tenths < 600 { return "\(tenths / 10).\(tenths % 10) s" }
        let seconds = tenths / 10
        return seconds < 3600
            ? "\(seconds / 60) min \(seconds % 60) s" : "\(seconds / 3600) h \(seconds % 3600 / 60) min"
    }
}

extension [Partition] {
    /// `partition 3`, `partitions 0 2 5`, `partitions 0 1 2 3 4 5 6 7 and 16 more`.
    var list: String {
        let shown = prefix(8).map(\.description).joined(separator: " ")
        return "partition\(count == 1 ? "" : "s") \(shown)" + (count > 8 ? " and \(count - 8) more" : "")
    }
}
