extension Snapshot {
    /// What Redis's memory goes into, in bytes.
    ///
    /// Measured on a sample of the partitions and of their shops, where there are many.
    public struct Memory: Sendable, Equatable, Encodable {
        /// All that the server uses, whatever for.
        public var used: Int?
        /// The server's limit; `nil` for none, or when it doesn't say.
        public var max: Int?
        /// The entries of the log.
        public var log: Int?
        /// The IDs that are remembered: the idempotency window.
        public var window: Int?
        /// The stock counters.
        public var stock: Int?
        /// The jobs that wait for the delivery service.
        public var deliveries: Int?
        /// What came into the log in the last day, or would in a day at the rate since it began.
        public var logGrowthPerDay: Int?
        /// Days until the limit is reached, if the log goes on growing so; `nil` when there is no limit, or the log is trimmed.
        public var daysLeft: Double?

        private enum CodingKeys: String, CodingKey {
            case used, max, log, window, stock, deliveries
            case logGrowthPerDay = "log_growth_per_day"
            case daysLeft = "days_left"
        }

        /// Makes what was measured.
        package init(
            used: Int?, max: Int?, log: Int?, window: Int?, stock: Int?, deliveries: Int?, logGrowthPerDay: Int?,
            isTrimmed: Bool
        ) {
            self.used = used
            self.max = max
            self.log = log
            self.window = window
            self.stock = stock
            self.deliveries = deliveries
            self.logGrowthPerDay = logGrowthPerDay
            guard let used, let max, let logGrowthPerDay, logGrowthPerDay > 0, !isTrimmed else { return }
            daysLeft = (Double(Swift.max(0, max - used)) / Double(logGrowthPerDay) * 10).rounded() / 10
        }

        /// Encodes the contract's `memory`: what is unknown is null.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(used, forKey: .used)
            try container.encode(max, forKey: .max)
            try container.encode(log, forKey: .log)
            try container.encode(window, forKey: .window)
            try container.encode(stock, forKey: .stock)
            try container.encode(deliveries, forKey: .deliveries)
            try container.encode(logGrowthPerDay, forKey: .logGrowthPerDay)
            try container.encode(daysLeft, forKey: .daysLeft)
        }
    }
}
