import Foundation
package import OrderLog

/// One order's way through the log and every sink.
package struct OrderTrail {
    /// Where a change lies in the log.
    package struct LogPlace {
        package let seq: Int
        /// nil when only the idempotency window knows the change: it keeps no epoch.
        package var epoch: Int?
        package let entry: String
    }

    /// What a group did with a change.
    package struct Step {
        package enum State: String, Encodable {
            case applied
            /// Delivered to a consumer, and not applied yet.
            case pending
            /// Not read yet.
            case lagging
            case deadLetter = "dead-letter"
            /// The sink can't be asked.
            case unknown
        }

        package let group: Group
        package var state: State
        package var appliedAt: String?
        /// Who has it pending, for how long, and the how-manieth time.
        package var consumer: String?
        package var idleMilliseconds: Int?
        package var deliveries: Int?
        /// How many entries the group still has to apply before this one.
        package var entriesBefore: Int?
        /// Why it was set aside.
        package var reason: String?
        package var error: String?
    }

    /// A change of the order, with what became of it.
    package struct Way {
        package let id: String
        /// nil when nobody remembers its place.
        package let place: LogPlace?
        package let steps: [Step]
        package let job: Job
    }

    /// The delivery service's job.
    package enum Job {
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
    package struct Stored {
        package struct Line: Encodable {
            package let sku: String
            package let quantity: Int64
        }

        package let status: String
        package let customer: String
        package let placedAt: String
        package let lines: [Line]
    }

    package let id: String
    package let shop: String
    package let partition: Int
    /// nil when Postgres has no such order, or can't be asked.
    package let stored: Stored?
    /// Why Postgres couldn't be asked.
    package let postgresError: String?
    package let placed: Way
    package let cancellation: Way?
    /// What people have settled at its places; nil when Postgres can't be asked.
    package let incidents: [Incident]?
}

// The contract `onewrite/order/v1`, by hand so that unknown is an explicit null.

extension OrderTrail: Encodable {
    private enum Key: String, CodingKey {
        case schema, id, shop, partition, seq, epoch, entry, groups, job, order, cancellation, incidents
        case postgresError = "postgres_error"
    }

    package func encode(to encoder: any Encoder) throws {
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
        try container.encode(incidents, forKey: .incidents)
        try container.encode(postgresError, forKey: .postgresError)
    }
}

extension OrderTrail.Way: Encodable {
    private enum Key: String, CodingKey { case id, seq, epoch, entry, groups, job }

    package func encode(to encoder: any Encoder) throws {
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

    package func encode(to encoder: any Encoder) throws {
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

    package var name: String {
        switch self {
        case .waiting: "waiting"
        case .taken: "taken"
        case .notMade: "not-made"
        case .unknown: "unknown"
        }
    }

    package func encode(to encoder: any Encoder) throws {
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
