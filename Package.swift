// swift-tools-version: 6.2

import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// What `onewrite --version` says of the commit. Told, not looked up: SwiftPM keeps what a manifest said, also for another
// commit. A C target has it, so that another commit compiles one file; and only what can stand in a C string.
let commit = Context.environment["ONEWRITE_COMMIT"].flatMap { text in
    !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+.-".contains($0)) } ? text : nil
}

let package = Package(
    name: "onewrite",
    products: [
        .library(name: "Onewrite", targets: ["Onewrite"]),
        .library(name: "OnewriteTesting", targets: ["OnewriteTesting"]),
        .executable(name: "onewrite", targets: ["OnewriteProgram"]),
        // The same with what speaks HTTP: onewrite starts it for the commands that need it.
        .executable(name: "onewrite-serve", targets: ["OnewriteServeProgram"]),
        // For tests: loaded into a Redis server whose clock must be behind.
        .library(name: "ClockShim", type: .dynamic, targets: ["CClockShim"]),
    ],
    traits: [
        .trait(name: "Kafka", description: "The kind kafka of groups; needs librdkafka."),
        // A build without: --disable-default-traits
        .default(enabledTraits: ["Kafka"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // For onewrite-serve alone.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.2"),
    ],
    targets: [
        // The C libraries.
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CLibpq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CLibcurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CLibrdkafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .systemLibrary(name: "CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLibssl", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),

        // What the build was told.
        .target(name: "CBuild", cSettings: commit.map { [.define("ONEWRITE_COMMIT", to: "\"\($0)\"")] } ?? []),

        // Clients: a thread a lane, and the two libraries made safe on it.
        .target(name: "CThreadedIO"),
        .target(name: "CReplyArena", dependencies: ["CHiredis"]),
        .target(name: "ThreadedIO", dependencies: ["CThreadedIO"], swiftSettings: swiftSettings),
        .target(
            name: "RedisClient", dependencies: ["ThreadedIO", "CHiredis", "CReplyArena", "CLibssl", "Faults"],
            swiftSettings: swiftSettings),
        .target(
            name: "PostgresClient", dependencies: ["ThreadedIO", "CLibpq", "Faults"], swiftSettings: swiftSettings),

        .target(name: "CHTTPClient", dependencies: ["CLibcurl"]),
        .target(
            name: "KafkaClient",
            dependencies: ["ThreadedIO", .target(name: "CLibrdkafka", condition: .when(traits: ["Kafka"]))],
            swiftSettings: swiftSettings),
        .target(name: "HTTPClient", dependencies: ["ThreadedIO", "CHTTPClient"], swiftSettings: swiftSettings),

        .target(name: "Compression", dependencies: ["CZlib", "CZstd"], swiftSettings: swiftSettings),

        // Faults on demand, for tests: nothing in a release build.
        .target(name: "Faults", swiftSettings: swiftSettings),

        // The domain: no sockets, no C.
        .target(name: "OrderLog", swiftSettings: swiftSettings),
        .target(name: "ChangeInput", dependencies: ["OrderLog"], swiftSettings: swiftSettings),
        .target(
            name: "Coordination",
            dependencies: ["OrderLog", "Faults", .product(name: "Logging", package: "swift-log")],
            swiftSettings: swiftSettings),

        // The domain's ports over real servers.
        .target(
            name: "RedisLog", dependencies: ["OrderLog", "Coordination", "RedisClient", "ThreadedIO", "Faults"],
            resources: [.embedInCode("lua")], swiftSettings: swiftSettings),
        .target(
            name: "Sinks",
            dependencies: [
                "OrderLog", "Coordination", "RedisLog", "RedisClient", "PostgresClient", "ThreadedIO", "Faults",
            ],
            swiftSettings: swiftSettings),

        // What is told of the stores: values, and their JSON.
        .target(name: "Reports", swiftSettings: swiftSettings),

        // The servers, as the settings name them.
        .target(
            name: "Connections",
            dependencies: [
                "OrderLog", "Coordination", "RedisLog", "Sinks", "RedisClient", "PostgresClient", "ThreadedIO",
            ],
            swiftSettings: swiftSettings),

        // What people ask of the stores, and whether these agree.
        .target(
            name: "Inspection",
            dependencies: [
                "OrderLog", "Coordination", "RedisLog", "Sinks", "Connections", "Reports", "RedisClient",
                "PostgresClient", "ThreadedIO", "Faults",
            ],
            swiftSettings: swiftSettings),
        .target(
            name: "Audit",
            dependencies: [
                "OrderLog", "RedisLog", "Sinks", "Connections", "Inspection", "RedisClient", "PostgresClient",
                "ThreadedIO", "Coordination",
            ],
            swiftSettings: swiftSettings),
        // What keeps a log going for years.
        .target(
            name: "Upkeep",
            dependencies: [
                "OrderLog", "RedisLog", "Sinks", "Connections", "Inspection", "Audit", "Reports", "RedisClient",
                "PostgresClient",
                "ThreadedIO", "Coordination",
            ],
            swiftSettings: swiftSettings),
        // Changes on their way into the log.
        .target(
            name: "Submission",
            dependencies: [
                "OrderLog", "ChangeInput", "Coordination", "RedisLog", "Sinks", "Connections", "RedisClient",
                "PostgresClient", "ThreadedIO", "Faults",
            ],
            swiftSettings: swiftSettings),

        // The kinds of stores that need no code, a folder each.
        .target(
            name: "SinkKinds",
            dependencies: [
                "OrderLog", "Coordination", "RedisLog", "Sinks", "Connections", "RedisClient", "PostgresClient",
                "HTTPClient", "KafkaClient", "ThreadedIO", "CLibcrypto", "Faults",
            ],
            swiftSettings: swiftSettings),

        // What an application uses.
        .target(
            name: "Onewrite",
            dependencies: [
                "OrderLog", "Coordination", "RedisLog", "Sinks", "Connections", "Reports", "Inspection", "Audit",
                "Upkeep", "ChangeInput", "Submission", "SinkKinds", "Faults",
                "RedisClient", "PostgresClient", "ThreadedIO",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: swiftSettings),

        // What the tests of a sink of one's own use.
        .target(
            name: "OnewriteTesting", dependencies: ["OrderLog", "Connections", "Onewrite", "PrivateServers"],
            swiftSettings: swiftSettings),

        // What is served over HTTP, and to whom: no socket.
        .target(name: "Serving", dependencies: ["Connections", "Reports", "CLibcrypto"], swiftSettings: swiftSettings),

        // What people meet.
        .target(name: "Dashboard", dependencies: ["Reports"], swiftSettings: swiftSettings),
        .target(
            name: "PrivateServers", dependencies: ["ThreadedIO", "CThreadedIO"], swiftSettings: swiftSettings),
        // Runs whole systems and checks them from outside, with none of the code above but the two clients.
        .target(
            name: "Harness", dependencies: ["PrivateServers", "RedisClient", "PostgresClient", "ThreadedIO"],
            swiftSettings: swiftSettings),
        .target(
            name: "Demo",
            dependencies: ["Harness", "OrderLog", "PrivateServers", "RedisClient", "PostgresClient", "ThreadedIO"],
            swiftSettings: swiftSettings),
        .target(
            name: "Bench",
            dependencies: [
                "Harness", "Onewrite", "Submission", "Connections", "RedisLog", "OrderLog", "PrivateServers",
                "RedisClient", "PostgresClient", "ThreadedIO", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: swiftSettings),
        .target(
            name: "OnewriteCommand",
            dependencies: [
                "OrderLog", "ChangeInput", "Compression", "Coordination", "RedisLog", "Sinks", "Connections", "Reports",
                "Inspection", "Audit", "Upkeep", "Submission", "SinkKinds", "Onewrite", "RedisClient", "PostgresClient",
                "ThreadedIO",
                "Serving", "Dashboard", "PrivateServers", "Harness", "Demo", "Bench", "Faults", "HTTPClient",
                "KafkaClient", "CBuild",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings),

        .executableTarget(name: "OnewriteProgram", dependencies: ["OnewriteCommand"], swiftSettings: swiftSettings),

        // What speaks HTTP.
        .target(
            name: "PrometheusMetrics", dependencies: [.product(name: "CoreMetrics", package: "swift-metrics")],
            swiftSettings: swiftSettings),
        .target(
            name: "HTTPService",
            dependencies: [
                "OrderLog", "ChangeInput", "Submission", "Coordination", "RedisLog", "Connections", "Reports",
                "Inspection", "Upkeep", "Audit", "Onewrite",
                "Serving", "PrometheusMetrics", "ThreadedIO",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            resources: [.embedInCode("page"), .embedInCode("openapi.json")],
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "OnewriteServeProgram",
            dependencies: ["OnewriteCommand", "HTTPService"],
            swiftSettings: swiftSettings),

        .target(name: "CClockShim", path: "Tests/CClockShim"),
        // Started by scripts/torture.
        .executableTarget(
            name: "torture",
            dependencies: [
                "Harness", "RedisLog", "OrderLog", "PrivateServers", "RedisClient", "PostgresClient", "ThreadedIO",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Torture", swiftSettings: swiftSettings),
        // The yardstick of scripts/bench-http.
        .executableTarget(
            name: "empty-server",
            dependencies: [
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Tests/EmptyServer", swiftSettings: swiftSettings),
        .target(
            name: "Simulation", dependencies: ["Coordination", "OrderLog", "Harness"],
            path: "Tests/Simulation",
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "simulate",
            dependencies: ["Simulation", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Tests/SimulationCommand", swiftSettings: swiftSettings),
        .target(
            name: "TestSupport", dependencies: ["PrivateServers", "RedisClient", "PostgresClient", "ThreadedIO"],
            path: "Tests/TestSupport", swiftSettings: swiftSettings),
        // Started by scripts/fuzz.
        .target(name: "CFuzzDriver", path: "Tests/Fuzz/CFuzzDriver"),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "OrderLog", "ChangeInput", "RedisClient", "RedisLog", "PostgresClient", "Inspection", "Dashboard",
                "Reports",
                "OnewriteCommand",
            ],
            path: "Tests/Fuzz/Targets", swiftSettings: swiftSettings),
        .executableTarget(
            name: "fuzz", dependencies: ["FuzzTargets", "CFuzzDriver"], path: "Tests/Fuzz/Command",
            swiftSettings: swiftSettings),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzTargets", "Harness", "TestSupport"], path: "Tests/Unit/FuzzTests",
            swiftSettings: swiftSettings),
        .testTarget(
            name: "CompressionTests", dependencies: ["Compression", "CZlib", "CZstd"],
            path: "Tests/Unit/CompressionTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "ThreadedIOTests", dependencies: ["ThreadedIO"], path: "Tests/Unit/ThreadedIOTests",
            swiftSettings: swiftSettings),
        .testTarget(
            name: "RedisClientTests", dependencies: ["RedisClient", "ThreadedIO", "PrivateServers", "TestSupport"],
            path: "Tests/Servers/RedisClientTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "ClusterTests",
            dependencies: ["OrderLog", "RedisLog", "RedisClient", "ThreadedIO", "PrivateServers", "TestSupport"],
            path: "Tests/Servers/ClusterTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "PostgresClientTests",
            dependencies: ["PostgresClient", "ThreadedIO", "PrivateServers", "TestSupport"],
            path: "Tests/Servers/PostgresClientTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "PrivateServersTests", dependencies: ["PrivateServers", "RedisClient", "ThreadedIO", "TestSupport"],
            path: "Tests/Servers/PrivateServersTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "TestSupportTests", dependencies: ["TestSupport", "PrivateServers", "OnewriteCommand"],
            path: "Tests/Servers/TestSupportTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "FaultMatrixTests",
            dependencies: ["OnewriteCommand", "Harness", "Faults", "TestSupport", "ThreadedIO"],
            path: "Tests/Faults/FaultMatrixTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "FaultsTests", dependencies: ["Faults"], path: "Tests/Unit/FaultsTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "OrderLogTests", dependencies: ["OrderLog", "Harness", "TestSupport"],
            path: "Tests/Unit/OrderLogTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "ChangeInputTests", dependencies: ["ChangeInput", "OrderLog", "Harness", "TestSupport"],
            path: "Tests/Unit/ChangeInputTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "CoordinationTests", dependencies: ["Coordination", "OrderLog"], path: "Tests/Unit/CoordinationTests",
            swiftSettings: swiftSettings),
        .testTarget(
            name: "DashboardTests", dependencies: ["Dashboard", "Reports", "TestSupport"],
            path: "Tests/Processes/DashboardTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "Harness", "Simulation", "RedisLog", "Sinks", "Coordination", "OrderLog", "RedisClient",
                "PostgresClient",
                "ThreadedIO", "PrivateServers", "TestSupport",
            ],
            path: "Tests/Servers/SimulationTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "ProtocolTests",
            dependencies: [
                "RedisLog", "Sinks", "Coordination", "OrderLog", "RedisClient", "PostgresClient", "ThreadedIO",
                "PrivateServers", "TestSupport",
            ],
            path: "Tests/Servers/ProtocolTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "InspectionTests",
            dependencies: [
                "OnewriteCommand", "RedisLog", "Sinks", "Coordination", "OrderLog", "RedisClient", "PostgresClient",
                "ThreadedIO", "PrivateServers", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Processes/InspectionTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "InspectorTests",
            dependencies: [
                "Onewrite", "Connections", "OrderLog", "RedisLog", "RedisClient", "ThreadedIO", "PrivateServers",
                "TestSupport", "OnewriteCommand",
            ],
            path: "Tests/Servers/InspectorTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "DeadLetterTests",
            dependencies: [
                "OnewriteCommand", "OrderLog", "PrivateServers", "RedisLog", "RedisClient", "PostgresClient",
                "ThreadedIO",
                "TestSupport",
            ],
            path: "Tests/Processes/DeadLetterTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "ProducerTests",
            dependencies: [
                "Onewrite", "OnewriteCommand", "RedisClient", "PrivateServers", "ThreadedIO", "TestSupport",
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Instrumentation", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            path: "Tests/Servers/ProducerTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "SubmissionTests",
            dependencies: ["Submission", "ChangeInput", "Connections", "OrderLog", "RedisLog", "Harness"],
            path: "Tests/Unit/SubmissionTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "SubmitTests",
            dependencies: [
                "OnewriteCommand", "OrderLog", "PrivateServers", "RedisLog", "RedisClient", "PostgresClient",
                "ThreadedIO",
                "TestSupport",
            ],
            path: "Tests/Processes/SubmitTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "DemoTests",
            dependencies: [
                "OnewriteCommand", "Harness", "PrivateServers", "RedisClient", "PostgresClient", "ThreadedIO",
                "TestSupport",
            ],
            path: "Tests/Processes/DemoTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "BenchTests",
            dependencies: ["Bench", "OnewriteCommand", "OrderLog", "PrivateServers", "TestSupport"],
            path: "Tests/Processes/BenchTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "AdversityTests",
            dependencies: [
                "OnewriteCommand", "Connections", "Harness", "PrivateServers", "RedisClient", "PostgresClient",
                "ThreadedIO",
                "TestSupport",
            ],
            path: "Tests/Faults/AdversityTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "FailoverTests",
            dependencies: [
                "OnewriteCommand", "Harness", "PrivateServers", "RedisClient", "PostgresClient", "ThreadedIO",
                "TestSupport",
            ],
            path: "Tests/Faults/FailoverTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "PoolerTests",
            dependencies: [
                "OnewriteCommand", "Connections", "Harness", "PrivateServers", "RedisClient", "PostgresClient",
                "ThreadedIO",
                "TestSupport",
            ],
            path: "Tests/Processes/PoolerTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "AuditTests",
            dependencies: [
                "OnewriteCommand", "OrderLog", "RedisLog", "RedisClient", "PostgresClient", "ThreadedIO",
                "PrivateServers", "Upkeep",
                "TestSupport",
            ],
            path: "Tests/Processes/AuditTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "RightsTests",
            dependencies: [
                "OnewriteCommand", "Connections", "OrderLog", "RedisLog", "RedisClient", "PostgresClient", "ThreadedIO",
                "PrivateServers", "TestSupport",
            ],
            path: "Tests/Processes/RightsTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "KindTests",
            dependencies: [
                "OnewriteCommand", "HTTPClient", "PrivateServers", "RedisClient", "PostgresClient", "ThreadedIO",
                "TestSupport", .target(name: "CLibrdkafka", condition: .when(traits: ["Kafka"])),
            ],
            path: "Tests/Processes/KindTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "ServeTests",
            dependencies: [
                "Connections", "HTTPService", "PrometheusMetrics", "OnewriteCommand", "PrivateServers", "RedisClient",
                "PostgresClient", "ThreadedIO", "TestSupport", .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            path: "Tests/Processes/ServeTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "UpgradeTests", dependencies: ["OnewriteCommand", "PrivateServers", "TestSupport"],
            path: "Tests/Processes/UpgradeTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "TortureTests",
            dependencies: [
                "torture", "OnewriteCommand", "Harness", "PrivateServers", "RedisClient", "PostgresClient",
                "ThreadedIO",
                "TestSupport",
            ],
            path: "Tests/Faults/TortureTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "OwnSinkTests",
            dependencies: [
                "Onewrite", "OnewriteTesting", "OnewriteCommand", "Coordination", "Connections", "OrderLog", "RedisLog",
                "RedisClient",
                "PostgresClient",
                "ThreadedIO", "PrivateServers", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/Servers/OwnSinkTests", swiftSettings: swiftSettings),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "OnewriteCommand", "Connections", "Harness", "Demo", "RedisLog", "Sinks", "Coordination", "OrderLog",
                "RedisClient",
                "PostgresClient",
                "ThreadedIO", "PrivateServers", "TestSupport",
            ],
            path: "Tests/Processes/EndToEndTests", swiftSettings: swiftSettings),
    ],
    swiftLanguageModes: [.v6]
)
