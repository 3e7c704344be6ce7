import Faults
import Foundation
import Harness
import TestSupport
import Testing
import ThreadedIO

@Suite("The fault matrix")
struct FaultMatrixTests {
    @Test("every fault point under a load is in the matrix, with every action")
    func isComplete() {
        // A person's command, once in a log's format: UpgradeTests has it.
        let points = FaultPoint.allCases.filter { ![.afterMigration, .batchHandedOver].contains($0) }
        #expect(Set(FaultCell.all.map(\.point)) == Set(points.map(\.rawValue)))
        for point in points {
            let actions = FaultCell.all.filter { $0.point == point.rawValue }.map(\.action)
            #expect(Set(actions) == Set(FaultCell.Action.allCases))
        }
    }

    @Test("the subset has every point, all three actions, and what must end with a refusal")
    func subset() {
        let refusing = FaultCell.all.filter(\.mustBeRefused)
        #expect(!refusing.isEmpty)
        for seed: UInt64 in 0..<3 {
            let cells = FaultCell.subset(seed)
            #expect(Set(cells.map(\.name)) == Set(FaultCell.all.map(\.name)))
            #expect(refusing.allSatisfy(cells.contains))
            #expect(Set(cells.map(\.action)) == Set(FaultCell.Action.allCases))
        }
        #expect(Set((0..<3).flatMap { FaultCell.subset(UInt64($0)) }) == Set(FaultCell.all))
    }

    @Test("a process that is killed, stopped or cut off at any point breaks no invariant", .timeLimit(.minutes(5)))
    func holds() async throws {
        // The clients write to servers that are killed.
        ignoreBrokenPipes()
        let given = ProcessInfo.processInfo.environment["ONEWRITE_TEST_SEED"]
        let seed = given.flatMap { UInt64($0) } ?? .random(in: 0..<1000)
        let matrix = FaultMatrix(executable: BuiltExecutable.path, seed: seed) { print($0) }
        let report = try await matrix.run(FaultCell.subset(seed), rounds: 1, lanes: 3)
        #expect(report.violated == 0, "ONEWRITE_TEST_SEED=\(seed)")
        #expect(report.refused > 0, "ONEWRITE_TEST_SEED=\(seed)")
    }
}
