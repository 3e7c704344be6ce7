extension Snapshot {
    /// Which stores these are: what tells production from staging.
    public struct Environment: Sendable, Equatable {
        /// What its owner calls it; nil when it has no name.
        public var label: String?
        /// The colour of the label.
        package var color: PaletteColor?
        /// Host, port and database of Redis, without secrets.
        public var redis: String
        /// Host, port and database of Postgres, without secrets; nil when none is configured.
        public var postgres: String?
        /// What the keys in Redis begin with.
        public var namespace: String
        /// The schema in Postgres.
        public var schema: String

        /// Makes an environment.
        package init(
            label: String?, color: PaletteColor?, redis: String, postgres: String?, namespace: String, schema: String
        ) {
            self.label = label
            self.color = color
            self.redis = redis
            self.postgres = postgres
            self.namespace = namespace
            self.schema = schema
        }
    }
}

extension Snapshot.Environment: Encodable {
    private enum CodingKeys: String, CodingKey { case label, color, redis, postgres, namespace, schema }

    /// Encodes the contract's `environment`; what isn't set is null.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(label, forKey: .label)
        try container.encode(color?.name, forKey: .color)
        try container.encode(redis, forKey: .redis)
        try container.encode(postgres, forKey: .postgres)
        try container.encode(namespace, forKey: .namespace)
        try container.encode(schema, forKey: .schema)
    }
}
