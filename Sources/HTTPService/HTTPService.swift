package import Connections
import Foundation
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
package import Logging
import Metrics
import NIOCore
import Onewrite
import OrderLog
import PrometheusMetrics
import Reports
import ServiceLifecycle
package import Serving
import UnixSignals

/// HTTP for applications, a page for people, metrics for machines.
package struct HTTPService: Sendable {
    private let plan: ServePlan
    private let logger: Logger

    /// Takes what to serve; nothing is opened yet.
    ///
    /// - Parameters:
    ///   - plan: What, and how.
    ///   - logger: Takes what happens.
    package init(_ plan: ServePlan, logger: Logger) {
        (self.plan, self.logger) = (plan, logger)
    }

    /// Serves until a signal; then takes no more requests, answers those that are under way, and returns.
    ///
    /// - Throws: ``LogError`` for what waiting can't mend; the system's error when it can't listen there.
    package func run() async throws {
        let parts = try Parts(plan, logger)
        MetricsSystem.bootstrap(parts.registry)
        let table = RouteTable(
            routes: parts.routes, gatekeeper: parts.gatekeeper, metrics: HTTPMetrics(),
            logsRequests: plan.logsRequests, logger: logger)
        let certificate = try plan.certificate.map { try ServerCertificate(certificate: $0.certificate, key: $0.key) }
        let application = Application(
            responder: table, server: try server(certificate),
            configuration: ApplicationConfiguration(
                address: .hostname(plan.host, port: plan.port),
                availableConnectionsDelegate: MaximumAvailableConnections(plan.connectionsMax)),
            onServerRunning: { [logger] channel in
                let port = channel.localAddress?.port ?? plan.port
                let host = plan.host.contains(":") ? "[\(plan.host)]" : plan.host
                logger.info("serving \(certificate == nil ? "http" : "https")://\(host):\(port)")
            },
            logger: .quiet)
        // Shut down from the last to the first: followers are let go, requests are answered, then the rest ends.
        var services: [any Service] = [
            parts.producer,
            FileWatch(
                gatekeeper: parts.gatekeeper, feed: parts.feed, audits: parts.audits, certificate: certificate,
                logger: logger),
        ]
        if plan.servesGroups {
            services.append(try Worker(plan.log, sinks: SinkDefinition.builtIn, servesRecorded: true, logger: logger))
        }
        services += [application, parts.feed, parts.audits]
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: .quiet)
        configuration.maximumGracefulShutdownDuration = HTTPLimits.drain
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let error as IOError {
            throw LogError(error, listeningAt: plan.host, plan.port)
        }
        logger.info("stopped")
    }

    private func server(_ certificate: ServerCertificate?) throws -> HTTPServerBuilder {
        let http = HTTPServerBuilder.http1(configuration: .bounded)
        return try certificate.map { try .tls(http, tlsConfiguration: $0.configuration) } ?? http
    }
}

extension HTTP1Channel.Configuration {
    /// With the bounds of ``HTTPLimits``.
    static var bounded: HTTP1Channel.Configuration {
        HTTP1Channel.Configuration(
            idleTimeout: .seconds(HTTPLimits.idleTimeout),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: HTTPLimits.headerBytesMax, maxHeaderListSize: HTTPLimits.headerBytesMax,
                maxHeaderFieldCount: HTTPLimits.headersMax))
    }
}

extension Logger {
    /// What the parts below tell of each connection is of no use to people.
    static let quiet = Logger(label: "http") { _ in SwiftLogNoOpLogHandler() }
}

extension LogError {
    init(_ error: IOError, listeningAt host: String, _ port: Int) {
        self.init(
            .badConfiguration, "\(host):\(port) can't be listened at: \(String(cString: strerror(error.errnoCode)))")
    }
}

extension HTTPService {
    /// Every method and path that is served, and the role that it needs, such as `GET /v1/status read`.
    ///
    /// - Parameter log: Any; nothing is connected.
    /// - Returns: The places, in the order in which they are looked at.
    /// - Throws: Nothing, with a plan without tokens.
    package static func places(_ log: LogConfiguration) throws -> [String] {
        let environment = Snapshot.Environment(
            label: nil, color: nil, redis: "", postgres: nil, namespace: "", schema: "")
        let plan = ServePlan(
            host: "127.0.0.1", port: 0, log: log, environment: environment, tokens: nil, certificate: nil,
            trustsProxy: false, connectionsMax: 1, servesGroups: false, metersPartitions: false, version: "")
        return try Parts(plan, Logger(label: "places")).routes.map {
            "\($0.method) \($0.path) \($0.role?.rawValue ?? "anybody")"
        }
    }
}

/// What answers requests.
private struct Parts {
    let plan: ServePlan
    let registry = MetricsRegistry()
    let gatekeeper: Gatekeeper
    let producer: Producer
    let feed: StatusFeed
    let questions: Questions
    let audits: AuditRuns

    init(_ plan: ServePlan, _ logger: Logger) throws(LogError) {
        self.plan = plan
        do throws(TokenFile.Trouble) {
            gatekeeper = try Gatekeeper(plan, isLoopback: plan.isLoopback, logger)
        } catch {
            throw LogError(.badConfiguration, "\(error)")
        }
        producer = Producer(plan.log, logger: logger)
        feed = StatusFeed(Servers(plan.log, name: "onewrite-serve"), plan.environment)
        questions = Questions(plan.log)
        audits = AuditRuns(Servers(plan.log, name: "onewrite-audit"))
    }

    var routes: [Route] {
        SubmitRoutes(producer: producer, configuration: plan.log, feed: feed).routes
            + AskRoutes(questions: questions, feed: feed, retention: plan.log.trim ?? .seconds(7 * 86400)).routes
            + DeadRoutes(questions: questions, window: plan.log.window).routes
            + AuditRoutes(runs: audits).routes
            + SessionRoutes(gatekeeper: gatekeeper, version: plan.version).routes
            + MetricsRoutes(
                registry: registry, version: plan.version, feed: feed, metersPartitions: plan.metersPartitions
            ).routes
            + HealthRoutes(feed: feed).routes + PageRoutes().routes
    }
}

/// Takes files that were changed: tokens, the certificate.
private struct FileWatch: Service {
    let gatekeeper: Gatekeeper
    let feed: StatusFeed
    let audits: AuditRuns
    let certificate: ServerCertificate?
    let logger: Logger

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: .seconds(1))
                // Who follows comes again, and is asked for a token that counts.
                if gatekeeper.reload() {
                    await feed.letGo()
                    await audits.letGo()
                }
                certificate?.reload(logger)
            }
        }
    }
}
