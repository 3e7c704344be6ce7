// swift-tools-version: 6.2

import PackageDescription

// The recipes are Python and Node; the package is their test.
let package = Package(
    name: "recipes",
    dependencies: [.package(name: "onewrite", path: "../..")],
    targets: [
        .testTarget(
            name: "RecipeTests",
            dependencies: [
                .product(name: "OnewriteTesting", package: "onewrite"),
                // The command, which the recipes start.
                .product(name: "onewrite", package: "onewrite"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
