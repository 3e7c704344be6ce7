import OrderLog

/// What a benchmark measures, and with how much.
package struct BenchPlan: Sendable {
    /// A part of the work, measured by itself.
    package enum Stage: String, CaseIterable, Sendable, Encodable {
        case append, produce, stock, delivery, postgres, all, latency

        /// The groups whose workers run.
        var groups: [Group] {
            switch self {
            case .append, .produce: []
            case .stock: [.stock]
            case .delivery: [.delivery]
            case .postgres: [.postgres]
            case .all, .latency: [.postgres, .stock, .delivery]
            }
        }
    }

    let orders: Int
    let rounds: Int
    let shops: Int
    /// Each a log of its own; what the others reach is compared with the first.
    let partitions: [Int]
    /// Worker processes of each group.
    let workers: Int
    /// Lanes of each worker.
    let lanes: Int
    let skus: Int
    let stages: Set<Stage>
    /// Orders a second, for ``Stage/latency``.
    let rates: [Int]
    /// How long each rate is kept up.
    let seconds: Int
    /// The yardstick's executable; nil to measure alone.
    let bare: String?
    /// What workers of group `postgres` trim meanwhile, as the setting `trim` has it; nil for nothing.
    let trim: String?
    /// Whether Redis is spoken to with TLS.
    let isEncrypted: Bool
    /// The masters of the Redis Cluster that the log is on; nil for one Redis and no cluster.
    let masters: Int?
    /// Whether each shop admits orders only as far as its stock covers them, which it does.
    let hasAdmission: Bool

    /// - Parameters:
    ///   - orders: Of two lines each.
    ///   - rounds: How often each stage is measured.
    ///   - shops: That the orders are spread over.
    ///   - partitions: Each a log of its own; not empty.
    ///   - workers: Processes of each group.
    ///   - lanes: Of each worker.
    ///   - skus: That the lines are spread over.
    ///   - stages: What is measured.
    ///   - rates: Orders a second, for ``Stage/latency``.
    ///   - seconds: How long each rate is kept up.
    ///   - bare: The path of the yardstick's executable; nil to measure alone.
    ///   - trim: The workers' setting of that name; nil for none.
    ///   - isEncrypted: Whether Redis is spoken to with TLS; the yardstick doesn't.
    ///   - masters: Of the Redis Cluster that the log is on, without replicas; nil for one Redis. The yardstick knows none.
    ///   - hasAdmission: Whether shops admit orders by their stock; only for appending.
    package init(
        orders: Int, rounds: Int, shops: Int, partitions: [Int], workers: Int, lanes: Int, skus: Int,
        stages: Set<Stage>, rates: [Int], seconds: Int, bare: String?, trim: String? = nil,
        isEncrypted: Bool = false, masters: Int? = nil, hasAdmission: Bool = false
    ) {
        self.hasAdmission = hasAdmission
        self.orders = orders
        self.rounds = rounds
        self.shops = shops
        self.partitions = partitions
        self.workers = workers
        self.lanes = lanes
        self.skus = skus
        self.stages = stages
        self.rates = rates
        self.seconds = seconds
        self.bare = bare
        self.trim = trim
        self.isEncrypted = isEncrypted
        self.masters = masters
    }

    /// Where something is measured.
    struct Place: Hashable, Sendable {
        let stage: Stage
        let partitions: Int
    }

    var work: BenchOrders { BenchOrders(shops: shops, skus: skus) }
}
