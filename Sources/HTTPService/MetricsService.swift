import Connections
import Foundation
import Hummingbird
package import Logging
import Metrics
import NIOCore
import PrometheusMetrics
package import Serving

/// Tells the metrics of a process that serves nothing else, to whoever asks.
package struct MetricsService: Sendable {
    private let plan: MetricsPlan
    private let registry = MetricsRegistry()
    private let logger: Logger

    /// Becomes the process's backend of metrics; listens once it runs.
    ///
    /// - Parameters:
    ///   - plan: Where.
    ///   - logger: Takes what happens.
    package init(_ plan: MetricsPlan, logger: Logger) {
        (self.plan, self.logger) = (plan, logger)
        MetricsSystem.bootstrap(registry)
    }

    /// Answers until the task is cancelled.
    ///
    /// - Throws: ``LogError`` when it can't listen there.
    package func run() async throws {
        let table = RouteTable(
            routes: MetricsRoutes(registry: registry, version: plan.version).routes + [HealthRoutes.healthz],
            gatekeeper: Gatekeeper(), metrics: HTTPMetrics(), logsRequests: false, logger: logger)
        let application = Application(
            responder: table, server: .http1(configuration: .bounded),
            configuration: ApplicationConfiguration(address: .hostname(plan.host, port: plan.port)),
            onServerRunning: { [logger, plan] channel in
                logger.info("metrics at http://\(plan.host):\(channel.localAddress?.port ?? plan.port)/metrics")
            },
            logger: .quiet)
        do {
            try await application.run()
        } catch let error as IOError {
            throw LogError(error, listeningAt: plan.host, plan.port)
        }
    }
}
