// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "kinds",
    dependencies: [
        .package(name: "onewrite", path: "../.."),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    ],
    targets: [
        .executableTarget(
            name: "receiver",
            dependencies: [
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
            ]),
        .testTarget(
            name: "KindsTests",
            dependencies: [
                "receiver",
                .product(name: "OnewriteTesting", package: "onewrite"),
                // The command, for the workers.
                .product(name: "onewrite", package: "onewrite"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
