import Logging
import Onewrite
import PrivateServers
import ServiceLifecycle
import Testing
import TestSupport
import UnixSignals

/// The code of the documentation's landing page, `Sources/Onewrite/Onewrite.docc`: `DocumentationTests` compares the two.
@Suite("The landing page's code")
struct LandingPageTests {
    @Test("it does what the page says")
    func works() async throws {
        try await withServers { servers in
            let made = try await BuiltExecutable.run("init", on: servers)
            try #require(made.status == .exited(0), "\(made.errors)")
            let configuration = try configuration(servers)
            let logger = Logger(label: "shop")
            let producer = Producer(configuration, logger: logger)
            let worker = try Worker(configuration, sinks: SinkDefinition.builtIn, logger: logger)
            let services = ServiceGroup(
                services: [producer, worker], gracefulShutdownSignals: [.sigterm], logger: logger)
            async let served: Void = services.run()

            let order = try Change.orderPlaced(
                id: "ord-1001", shop: "main", customer: "c-17", lines: [Line(sku: "TEA-250", quantity: 2)])
            let receipt = try await producer.submit(order)
            try await producer.wait(for: receipt, in: [.postgres, .stock])
            #expect(receipt.outcome == .accepted)

            let inspector = Inspector(configuration)
            for group in try await inspector.status().groups where group.workers == [] {
                print("nobody serves \(group.name)")
            }
            let trail = try await inspector.order("ord-1001", shop: "main")
            print(trail.stored?.status ?? "not in Postgres yet")
            let report = try await inspector.audit()
            #expect(trail.stored?.status == "placed")
            #expect(report.verdict == .agree)

            await services.triggerGracefulShutdown()
            try await served
        }
    }

    @Test("its settings are taken as they are")
    func settings() throws {
        let configuration = try LogConfiguration(
            redis: "redis://127.0.0.1:6379/0", postgres: "postgres://onewrite@127.0.0.1:5432/onewrite")
        #expect(configuration.durability == .server)
    }
}
