// swift-tools-version: 6.2

import PackageDescription

// The examples are Python, Node, Go and a shell script; the package is their test.
let package = Package(
    name: "functions",
    dependencies: [.package(name: "onewrite", path: "../..")],
    targets: [
        .testTarget(
            name: "FunctionsTests",
            dependencies: [
                .product(name: "OnewriteTesting", package: "onewrite"),
                // The command, for init and the worker.
                .product(name: "onewrite", package: "onewrite"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
