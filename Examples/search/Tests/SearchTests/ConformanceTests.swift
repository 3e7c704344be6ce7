import Foundation
import GRDB
import Onewrite
import OnewriteTesting
import Testing

@testable import SearchIndex

@Suite("The search index as a sink")
struct ConformanceTests {
    @Test("it holds what a sink has to hold")
    func conforms() async throws {
        try await withIndexFile { path in
            let look = try SearchIndex(path: path)
            try await SinkConformance {
                try SearchIndex(path: path)
            } contents: {
                try await look.orders(in: $0)
            }.check()
        }
    }

    @Test("with the position outside of the transaction it would be found out")
    func split() async throws {
        try await withIndexFile { path in
            let look = try SearchIndex(path: path)
            let found = try await SinkConformance {
                SplitIndex(try SearchIndex(path: path))
            } contents: {
                try await look.orders(in: $0)
            }.findings()
            #expect(found.contains { $0.rule == .atomic }, "\(found)")
        }
    }

    @Test("orders are found by the beginnings of words")
    func finds() async throws {
        try await withIndexFile { path in
            let index = try SearchIndex(path: path)
            try await SinkConformance(races: 0) {
                index
            } contents: {
                try await index.orders(in: $0)
            }.check()
            // What the suite has put in: orders of customer c-1, of TEA and MUG.
            let hits = try await index.find("order-1 te mug")
            #expect(hits.first?.lines == "TEA:1 MUG:2")
            #expect(try await index.find("coffee").isEmpty)
            #expect(try await index.find("  ").isEmpty)
        }
    }
}

/// The index with a mistake that people make: effects first, the position in a transaction of its own.
private actor SplitIndex: Sink {
    private let index: SearchIndex

    init(_ index: SearchIndex) { self.index = index }

    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome {
        try await index.fence(partition, under: history, owner: owner)
    }

    func apply(_ batch: Batch) async throws -> ApplyOutcome {
        let partition = batch.permit.partition
        let outcome = try await index.database.write { db in
            var record = try SinkRecord.load(partition, from: db)
            let outcome = record.advance(over: batch)
            if outcome == .applied { for entry in batch.applied { try entry.index(in: partition, db) } }
            return outcome
        }
        guard outcome == .applied else { return outcome }
        // As on a busy machine: the suite is to meet the moment between the two surely.
        try await Task.sleep(for: .milliseconds(5))
        return try await index.database.write { db in
            var record = try SinkRecord.load(partition, from: db)
            let outcome = record.advance(over: batch)
            if outcome == .applied { try record.save(partition, to: db) }
            return outcome
        }
    }
}

extension SearchIndex {
    /// The IDs of a partition's orders.
    fileprivate func orders(in partition: Partition) async throws -> [String] {
        try await database.read { db in
            try String.fetchAll(
                db, sql: "SELECT id FROM orders WHERE partition = ? ORDER BY seq", arguments: [partition.number])
        }
    }
}

/// Gives a test the path of an index that isn't there yet, in a directory that is removed afterwards.
func withIndexFile(_ body: (String) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "search-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let path = directory.appending(path: "search.sqlite").path
    do { try await body(path) } catch {
        // What workers on it have said, if there were any.
        if let log = try? String(contentsOfFile: "\(path).log", encoding: .utf8) { print(log.suffix(8000)) }
        throw error
    }
}
