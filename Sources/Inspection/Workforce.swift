package import Coordination
import Foundation
package import OrderLog
package import RedisClient
package import RedisLog

/// The workers of a group, as others see them.
package struct Workforce {
    /// A worker whose process is connected.
    package struct Present {
        package let name: WorkerName
        /// When its heart last beat, in milliseconds of Redis's clock.
        package let lastHeartbeat: Int
        /// What it says of itself; nil when it says nothing, or nothing that makes sense.
        package let report: WorkerReport?

        /// Whether it was heard of lately, so that what it said still holds: hearts beat once a second.
        package func isHeard(at now: Int) -> Bool { now - lastHeartbeat <= Workforce.hearingMilliseconds }
    }

    /// A worker that was not heard of for so long may be stopped: what it said of itself doesn't count.
    private static let hearingMilliseconds = 4000

    /// In order of their names.
    package let present: [Present]

    package var names: [String] { present.map(\.name.text) }

    package func contains(_ consumer: String) -> Bool { present.contains { $0.name.text == consumer } }

    /// What is said of a partition by whoever holds it, else by anybody who says something.
    package func report(of partition: Int, heldBy holder: String?) -> WorkerReport.PartitionReport? {
        let reports = present.compactMap { worker in
            worker.report?.partitions.first { $0.partition == partition }.map { (worker.name.text, $0) }
        }
        return (reports.first { $0.0 == holder } ?? reports.first)?.1
    }

    /// How long a worker that is there has said nothing, in milliseconds; nil when it was heard of lately, or is not there.
    package func silence(of consumer: String, at now: Int) -> Int? {
        present.first { $0.name.text == consumer && !$0.isHeard(at: now) }.map { now - $0.lastHeartbeat }
    }

    /// Entries applied in a second by all together that were heard of lately; nil when no such worker tells.
    package func appliedPerSecond(at now: Int) -> Double? {
        if present.isEmpty { return 0 }
        let rates = present.filter { $0.isHeard(at: now) }.compactMap { $0.report?.appliedPerSecond }.filter {
            $0.isFinite && $0 >= 0
        }
        return rates.isEmpty ? nil : rates.reduce(0, +)
    }

    // MARK: - Reading

    /// The members of a group before it is known who of them is there.
    package struct Roll {
        fileprivate let members: [(name: WorkerName, lastHeartbeat: Int)]

        /// More were added by hand; a group has as many workers as partitions at most that do anything.
        package static let membersMax = 2048

        package static func question(_ group: Group, _ keys: Keys) -> RedisCommand {
            RedisCommand("ZREVRANGE", keys.workers(group), 0, Roll.membersMax - 1, "WITHSCORES")
        }

        /// Decodes the reply to ``question(_:_:)``; a key of another type has no members.
        package init(_ reply: RedisReply) {
            members = stride(from: 0, to: reply.count - 1, by: 2).compactMap { index in
                // A name that no worker could have was added by hand.
                guard let name = reply[index].string.flatMap({ WorkerName($0) }) else { return nil }
                let heartbeat = reply[index + 1].string.flatMap { Double($0) } ?? 0
                return (name, Int(exactly: heartbeat.rounded()) ?? 0)
            }
        }
    }

    /// The questions that tell who of a roll is there, and what they say.
    package struct Call {
        private let roll: Roll
        private let presence: Int?
        private let reports: [Int]

        package init(_ roll: Roll, _ group: Group, _ keys: Keys, asking questions: inout Questions) {
            self.roll = roll
            guard !roll.members.isEmpty else {
                presence = nil
                reports = []
                return
            }
            var command = RedisCommand("PUBSUB", "NUMSUB")
            for member in roll.members { command.append(keys.presencePrefix(group) + member.name.text) }
            presence = questions.ask(command)
            reports = roll.members.map { questions.ask(RedisCommand("GET", keys.report(group, $0.name))) }
        }

        package func answer(_ replies: [RedisReply]) throws(RedisError) -> Workforce {
            guard let presence else { return Workforce(present: []) }
            let subscribers = try replies[presence].requireArray(count: 2 * roll.members.count)
            var present: [Present] = []
            for (index, member) in roll.members.enumerated() where try subscribers[2 * index + 1].requireInteger() > 0 {
                present.append(
                    Present(
                        name: member.name, lastHeartbeat: member.lastHeartbeat,
                        report: Self.report(replies[reports[index]])))
            }
            return Workforce(present: present.sorted { $0.name < $1.name })
        }

        /// What isn't a report was put there by hand, and says nothing.
        private static func report(_ reply: RedisReply) -> WorkerReport? {
            guard let bytes = reply.bytes else { return nil }
            do {
                return try JSONDecoder().decode(WorkerReport.self, from: Data(bytes))
            } catch {
                return nil
            }
        }
    }
}
