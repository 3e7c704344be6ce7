import Foundation
import Harness
import OrderLog
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

/// What workers cost.
///
/// CPU time and memory, never wall-clock speed.
@Suite("Costs", .serialized)
struct CostTests {
    /// Larger with `ONEWRITE_TEST_BACKLOG=500000`.
    private static let backlog =
        ProcessInfo.processInfo.environment["ONEWRITE_TEST_BACKLOG"].flatMap { Int($0) } ?? 40_000

    @Test("a worker's memory doesn't grow with its backlog")
    func memory() async throws {
        try await Shop.open { shop in
            let lines = (0..<Self.backlog).map { number in
                "{\"id\":\"o-\(number)\",\"shop\":\"shop-\(number % 5)\",\"customer\":\"c-\(number % 500)\","
                    + "\"lines\":[{\"sku\":\"SKU-\(number % 100)\",\"quantity\":1},{\"sku\":\"SKU-\((number + 37) % 100)\",\"quantity\":2}]}\n"
            }
            let path = "\(shop.demo.directory)/backlog.ndjson"
            try Data(lines.joined().utf8).write(to: URL(filePath: path))
            try await shop.demo.run(["submit", path])
            for group in StoreContents.groups {
                let name = WorkerFleet.Name(group: group, letter: "a")
                try await shop.fleet.start(name)
            }
            try await shop.drained(within: .seconds(600))
            for group in StoreContents.groups {
                let process = try #require(shop.fleet.process(WorkerFleet.Name(group: group, letter: "a")))
                let peak = try #require(Self.status(process.pid, "VmHWM:"))
                print("\(group): peak \(peak / 1024) MiB with a backlog of \(Self.backlog)")
                #expect(peak < 64 * 1024, "\(group): \(peak) KiB")
            }
        }
    }

    @Test("an idle worker takes next to no CPU")
    func idle() async throws {
        try await Shop.open { shop in
            try await shop.fleet.startAll()
            try await Task.sleep(for: .seconds(2))
            func ticks() throws -> [Int] {
                try WorkerFleet.names.map { try Self.cpuTicks(try #require(shop.fleet.process($0)).pid) }
            }
            let before = try ticks()
            let start = ContinuousClock.now
            try await Task.sleep(for: .seconds(5))
            let seconds = start.duration(to: .now) / .seconds(1)
            let shares = zip(before, try ticks()).map {
                Double($1 - $0) / Double(sysconf(Int32(_SC_CLK_TCK))) / seconds * 100
            }
            print(
                "idle workers, in percent of a core: \(shares.map { String(format: "%.2f", $0) }.joined(separator: " "))"
            )
            // Twice the bound of a release build.
            for share in shares { #expect(share < 2) }
        }
    }

    private static func status(_ pid: pid_t, _ field: String) -> Int? {
        let text = FileManager.default.contents(atPath: "/proc/\(pid)/status").map {
            String(decoding: $0, as: UTF8.self)
        }
        return text?.split(separator: "\n").first { $0.hasPrefix(field) }?
            .split(separator: " ").dropLast().last.flatMap { Int($0.trimmingCharacters(in: .whitespaces)) }
            ?? text?.split(separator: "\n").first { $0.hasPrefix(field) }.flatMap { line in
                Int(line.filter(\.isNumber))
            }
    }

    private static func cpuTicks(_ pid: pid_t) throws -> Int {
        let text = String(
            decoding: try #require(FileManager.default.contents(atPath: "/proc/\(pid)/stat")), as: UTF8.self)
        let fields = try #require(text.split(separator: ")").last).split(separator: " ")
        return try #require(Int(fields[11])) + (try #require(Int(fields[12])))
    }
}
