import Foundation
public import OrderLog

/// One order's way through the log and every sink.
public struct OrderTrail: Sendable, Equatable {
    /// Where a change lies in the log.
    public struct LogPlace: Sendable, Equatable {
        /// Its seq.
        public let seq: Int
        /// nil when only the idempotency window knows the change: it keeps no epoch.
        public internal(set) var epoch: Int?
        /// Its stream ID.
        public let entry: String
    }

    /// What a group did with a change.
    public struct Step: Sendable, Equatable {
        /// How far it is.
        public enum State: String, Sendable, Encodable {
            /// The group's store has it.
            case applied
            /// Delivered to a consumer, and not applied yet.
            case pending
            /// Not read yet.
            case lagging
            /// Set aside: the group passed over it.
            case deadLetter = "dead-letter"
            /// The sink can't be asked.
            case unknown
        }

        /// Which group.
        public let group: Group
        /// How far it is.
        public internal(set) var state: State
        /// When it was applied, in UTC; nil when that is not told.
        public internal(set) var appliedAt: String?
        /// Who has it pending, for how long, and the how-manieth time.
        public internal(set) var consumer: String?
        /// How long it has been pending there.
        public internal(set) var idleMilliseconds: Int?
        /// How often it was delivered.
        public internal(set) var deliveries: Int?
        /// How many entries the group still has to apply before this one.
        public internal(set) var entriesBefore: Int?
        /// Why it was set aside.
        public internal(set) var reason: String?
        /// The error, for people.
        public internal(set) var error: String?
    }

    /// A change of the order, with what became of it.
    public struct Way: Sendable, Equatable {
        /// Its ID.
        public let id: String
        /// nil when nobody remembers its place.
        public let place: LogPlace?
        /// What each group did with it.
        public let steps: [Step]
        /// What became of the delivery service's job.
        public let job: Job
    }

    /// The delivery service's job.
    public enum Job: Sendable, Equatable {
        /// In the list, behind so many others.
        case waiting(jobsBefore: Int)
        /// It was made, and is not in the list any more.
        case taken
        /// The group `delivery` has not made it.
        case notMade
        /// The list is too long to be searched, or no list.
        case unknown
    }

    /// The order as Postgres has it.
    public struct Stored: Sendable, Equatable {
        /// One of its lines.
        public struct Line: Sendable, Equatable, Encodable {
            /// The SKU.
            public let sku: String
            /// How many.
            public let quantity: Int64
            /// How many of them came back.
            public let returned: Int64
        }

        /// `placed`, `cancelled`, or `returned` when all of it came back.
        public let status: String
        /// Who placed it.
        public let customer: String
        /// When, in UTC.
        public let placedAt: String
        /// Its lines.
        public let lines: [Line]
    }

    /// Its ID.
    public let id: String
    /// Whose it is.
    public let shop: String
    /// The partition that it is in.
    public let partition: Int
    /// nil when Postgres has no such order, or can't be asked.
    public let stored: Stored?
    /// Why Postgres couldn't be asked.
    public let postgresError: String?
    /// The order itself.
    public let placed: Way
    /// Its cancellation; nil when there is none.
    public let cancellation: Way?
    /// What came back of it, as far as the idempotency window remembers.
    public let returns: [Way]
    /// What people have settled at its places; nil when Postgres can't be asked.
    public let incidents: [Incident]?
}

// The contract `onewrite/order/v1`, by hand so that unknown is an explicit null.

extension OrderTrail: Encodable {
    private enum Key: String, CodingKey {
        case schema, id, shop, partition, seq, epoch, entry, groups, job, order, cancellation, returns, incidents
        case postgresError = "postgres_error"
    }

    /// Encodes what `--json` prints.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode("onewrite/order/v1", forKey: .schema)
        try container.encode(id, forKey: .id)
        try container.encode(shop, forKey: .shop)
        try container.encode(partition, forKey: .partition)
        try container.encode(placed.place?.seq, forKey: .seq)
        try container.encode(placed.place?.epoch, forKey: .epoch)
        try container.encode(placed.place?.entry, forKey: .entry)
        try container.encode(placed.steps, forKey: .groups)
        try container.encode(placed.job, forKey: .job)
        try container.encode(stored, forKey: .order)
        try container.encode(cancellation, forKey: .cancellation)
        try container.encode(returns, forKey: .returns)
        try container.encode(incidents, forKey: .incidents)
        try container.encode(postgresError, forKey: .postgresError)
    }
}

extension OrderTrail.Way: Encodable {
    private enum Key: String, CodingKey { case id, seq, epoch, entry, groups, job }

    /// Encodes what `--json` prints.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(id, forKey: .id)
        try container.encode(place?.seq, forKey: .seq)
        try container.encode(place?.epoch, forKey: .epoch)
        try container.encode(place?.entry, forKey: .entry)
        try container.encode(steps, forKey: .groups)
        try container.encode(job, forKey: .job)
    }
}

extension OrderTrail.Step: Encodable {
    private enum Key: String, CodingKey {
        case name, state, consumer, deliveries, reason, error
        case appliedAt = "applied_at"
        case idleMilliseconds = "idle_ms"
        case entriesBefore = "entries_before"
    }

    /// Encodes what `--json` prints.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(group.name, forKey: .name)
        try container.encode(state, forKey: .state)
        try container.encode(appliedAt, forKey: .appliedAt)
        try container.encode(consumer, forKey: .consumer)
        try container.encode(idleMilliseconds, forKey: .idleMilliseconds)
        try container.encode(deliveries, forKey: .deliveries)
        try container.encode(entriesBefore, forKey: .entriesBefore)
        try container.encode(reason, forKey: .reason)
        try container.encode(error, forKey: .error)
    }
}

extension OrderTrail.Job: Encodable {
    private enum Key: String, CodingKey {
        case state
        case jobsBefore = "jobs_before"
    }

    /// Its name.
    public var name: String {
        switch self {
        case .waiting: "waiting"
        case .taken: "taken"
        case .notMade: "not-made"
        case .unknown: "unknown"
        }
    }

    /// Encodes what `--json` prints.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(name, forKey: .state)
        let before: Int? = if case .waiting(let count) = self { count } else { nil }
        try container.encode(before, forKey: .jobsBefore)
    }
}

extension OrderTrail.Stored: Encodable {
    private enum CodingKeys: String, CodingKey {
        case status, customer, lines
        case placedAt = "placed_at"
    }
}
