package import OrderLog

/// What an upgrade of the log's format does, and what is in its way.
package struct UpgradePlan: Sendable {
    /// A migration that one of the stores lacks.
    package struct Step: Sendable, Encodable {
        package let format: Int
        package let title: String
        /// What is to be done in each store; nil where it was done.
        package let postgres: String?
        package let redis: String?

        private enum CodingKeys: String, CodingKey { case format, title, postgres, redis }

        /// By hand, so that null is written.
        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(format, forKey: .format)
            try container.encode(title, forKey: .title)
            try container.encode(postgres, forKey: .postgres)
            try container.encode(redis, forKey: .redis)
        }
    }

    /// A worker that is there.
    package struct Worker: Sendable, Encodable {
        package let group: String
        package let name: String
        /// The formats that it knows; empty when it says nothing of itself.
        package let formats: [Int]
        /// Whether the log can be upgraded while it lives.
        package let isReady: Bool

        private enum CodingKeys: String, CodingKey {
            case group, name, formats
            case isReady = "ready"
        }
    }

    package let log: String
    /// The formats that the stores have.
    package let redis: LogFormat
    package let postgres: LogFormat
    /// The newest that this program knows: where it leads.
    package let newest: LogFormat
    package let steps: [Step]
    package internal(set) var workers: [Worker]
    /// Whether it was done.
    package internal(set) var isDone = false

    /// Each process that is there, and what it knows, in a line: one that serves several groups is told once.
    package var workerLines: [String] { lines(workers) }

    /// Those of them that are in the way.
    package var obstacles: [String] { lines(workers.filter { !$0.isReady }) }

    private func lines(_ workers: [Worker]) -> [String] {
        var names: [String] = []
        for worker in workers where !names.contains(worker.name) { names.append(worker.name) }
        return names.map { name in
            let of = workers.filter { $0.name == name }
            let silent = of.contains { $0.formats.isEmpty }
            let formats = Set(of.flatMap(\.formats)).sorted()
            let known =
                if let first = formats.first, let last = formats.last, first < last {
                    "formats \(first) \(last == first + 1 ? "and" : "to") \(last)"
                } else { "format \(formats.first.map(String.init) ?? "?")" }
            return "worker \(name) (\(of.map(\.group).joined(separator: ", "))) "
                + (silent
                    ? "says nothing of itself (it has just started, is stopped or overloaded)"
                    : "knows \(known)" + (of.allSatisfy(\.isReady) ? "" : " only"))
        }
    }
}

extension UpgradePlan: Encodable {
    private enum Key: String, CodingKey { case schema, log, redis, postgres, newest, steps, workers, upgraded }

    /// Encodes what `--json` prints.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode("onewrite/upgrade/v1", forKey: .schema)
        try container.encode(log, forKey: .log)
        try container.encode(redis.number, forKey: .redis)
        try container.encode(postgres.number, forKey: .postgres)
        try container.encode(newest.number, forKey: .newest)
        try container.encode(steps, forKey: .steps)
        try container.encode(workers, forKey: .workers)
        try container.encode(isDone, forKey: .upgraded)
    }
}
