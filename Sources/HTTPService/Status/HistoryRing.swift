import Foundation
import Reports

/// Lag and rates of each group over the last quarter of an hour: `onewrite/history/v1`.
struct HistoryRing: Encodable, Sendable {
    static let step: Duration = .seconds(5)
    private static let pointsMax = 180

    private struct Point: Encodable {
        struct Group: Encodable {
            let lag: Int?
            let lagSeconds: Double?
            let appendPerSecond: Double?
            let appliedPerSecond: Double?

            enum CodingKeys: String, CodingKey {
                case lag
                case lagSeconds = "lag_seconds"
                case appendPerSecond = "append_per_second"
                case appliedPerSecond = "applied_per_second"
            }
        }

        let at: String
        let groups: [String: Group]
    }

    private let schema = "onewrite/history/v1"
    private let everySeconds = Int(Self.step / .seconds(1))
    private var points: [Point] = []

    enum CodingKeys: String, CodingKey {
        case schema, points
        case everySeconds = "every_seconds"
    }

    mutating func add(_ snapshot: Snapshot) {
        let groups = snapshot.groups.map { group in
            (
                group.name,
                Point.Group(
                    lag: group.lag, lagSeconds: group.lagSeconds,
                    appendPerSecond: group.appendPerSecond.flatMap { $0.isFinite ? $0 : nil },
                    appliedPerSecond: group.appliedPerSecond.flatMap { $0.isFinite ? $0 : nil })
            )
        }
        points.append(
            Point(
                at: Snapshot.timestamp(snapshot.at), groups: Dictionary(groups, uniquingKeysWith: { first, _ in first })
            ))
        if points.count > Self.pointsMax { points.removeFirst() }
    }
}

extension Snapshot.Group {
    /// How far it is behind in time: the age of the oldest entry that it has not applied; 0 when it has applied all.
    var lagSeconds: Double? {
        lag == 0 ? 0 : oldestUnappliedMilliseconds.map { Double($0) / 1000 }
    }
}
