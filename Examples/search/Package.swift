// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "search",
    dependencies: [
        .package(name: "onewrite", path: "../.."),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .target(
            name: "SearchIndex",
            dependencies: [
                .product(name: "Onewrite", package: "onewrite"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        .executableTarget(
            name: "search-worker",
            dependencies: [
                "SearchIndex",
                .product(name: "Onewrite", package: "onewrite"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]),
        .testTarget(
            name: "SearchTests",
            dependencies: [
                "SearchIndex", "search-worker",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Onewrite", package: "onewrite"),
                .product(name: "OnewriteTesting", package: "onewrite"),
                // The command, which the tests start.
                .product(name: "onewrite", package: "onewrite"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
