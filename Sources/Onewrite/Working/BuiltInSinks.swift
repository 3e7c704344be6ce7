import OrderLog
import SinkKinds
import Sinks

// The sinks that every log has, a line each.
extension SinkDefinition {
    /// Orders, stock and the ledger in Postgres.
    public static let postgres = SinkDefinition(builtIn: .postgres, needsPostgres: true) { connections in
        let sink = PostgresSink(try connections.primary())
        return MadeSink(sink: sink, ledger: sink)
    }
    /// The stock counters in Redis.
    public static let stock = SinkDefinition(builtIn: .stock) { MadeSink(sink: RedisSink.stock($0.scripts)) }
    /// The jobs for the delivery service, in Redis.
    public static let delivery = SinkDefinition(builtIn: .delivery) { MadeSink(sink: RedisSink.delivery($0.scripts)) }

    /// All of them.
    public static let builtIn = [postgres, stock, delivery]
}
