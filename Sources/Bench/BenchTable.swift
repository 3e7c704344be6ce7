import OrderLog

/// A benchmark's figures for people.
package struct BenchTable {
    let report: BenchReport

    /// - Parameter report: The figures.
    package init(_ report: BenchReport) { self.report = report }

    /// Commands that cost Redis less than this for an order aren't named.
    private static let negligibleMicroseconds = 0.05
    private static let namedCommands = 6

    /// The table, line by line.
    package var lines: [String] {
        var lines = heading
        if !report.stages.isEmpty { lines += [""] + stages + [""] + commands }
        if !report.produce.isEmpty { lines += [""] + produce }
        if !report.latency.isEmpty { lines += [""] + latency }
        if let memory = report.memory {
            lines += [
                "",
                "Redis's memory: \(Self.number(memory.logBytesPerEntry, 1)) bytes an entry in the log, "
                    + "\(Self.number(memory.windowBytesPerOrder, 1)) bytes an order in the idempotency window",
            ]
        }
        return lines
    }

    /// The sizes of the logs that were measured.
    private var sizes: [Int] {
        (report.stages.map(\.partitions) + report.produce.map(\.partitions) + report.latency.map(\.partitions)).reduce(
            into: []) { sizes, size in
                if !sizes.contains(size) { sizes.append(size) }
            }
    }

    private var hasSeveral: Bool { sizes.count > 1 }

    private var heading: [String] {
        let setup = report.setup
        func count(_ number: Int, _ one: String, _ many: String) -> String {
            "\(FieldError.spaced(number)) \(number == 1 ? one : many)"
        }
        let partitions =
            hasSeveral
            ? sizes.map(\.description).joined(separator: ", ") + " partitions"
            : count(setup.partitions, "partition", "partitions")
        var lines = [
            [
                count(setup.orders, "order of two lines", "orders of two lines"), count(setup.shops, "shop", "shops"),
                count(setup.skus, "SKU", "SKUs"), partitions,
                count(setup.workers, "worker", "workers") + " a group with " + count(setup.lanes, "lane", "lanes"),
                "medians of " + count(setup.rounds, "round", "rounds"),
            ].joined(separator: " · "),
            "\(count(setup.cores, "core", "cores")) · \(redis) · Postgres \(setup.postgres)",
        ]
        if setup.build != "release" { lines.append("a \(setup.build) build: these figures say nothing") }
        return lines
    }

    private var redis: String {
        let setup = report.setup
        let admission = setup.admission ? ", admission on" : ""
        guard let masters = setup.masters else {
            return "Redis \(setup.redis)\(setup.tls ? " with TLS" : "")\(admission)"
        }
        return "Redis Cluster \(setup.redis) of \(masters) \(masters == 1 ? "master" : "masters")"
    }

    private var stages: [String] {
        let header = [
            "STAGE", "ORDERS/S", "MIN", "MAX", "× BARE", "MIN", "MAX", "START-UP", "CLIENT", "REDIS", "POSTGRES",
        ]
        var rows = [header + (hasSeveral ? ["× P=\(report.setup.partitions)", "MIN", "MAX"] : [])]
        for figures in report.stages {
            let toFirst = hasSeveral ? Self.cells(figures.ratioToFirst) : []
            rows.append(Self.row(name(figures), figures.onewrite, figures.ratio) + toFirst)
            if let bare = figures.bare {
                rows.append(Self.row("  bare loop", bare, nil) + toFirst.map { _ in "" })
            }
        }
        return Self.aligned(rows) + ["CLIENT, REDIS and POSTGRES: CPU time, in µs an order"] + byProcess
    }

    /// What each of Redis's processes has cost, where there are several.
    private var byProcess: [String] {
        let rows = report.stages.compactMap { figures in
            figures.onewrite.redisUsPerOrderByProcess.map { [name(figures)] + $0.map { Self.number($0, 1) } }
        }
        return rows.isEmpty ? [] : ["", "Redis by process, in µs an order:"] + Self.aligned(rows)
    }

    private static func row(_ name: String, _ side: BenchReport.Side, _ ratio: Spread?) -> [String] {
        let rate = side.ordersPerSecond
        return [name] + [rate.median, rate.min, rate.max].map { FieldError.spaced(Int($0.rounded())) }
            + cells(ratio) + [side.startUpMs.map { "\(number($0, 0)) ms" } ?? ""]
            + [side.clientUsPerOrder, side.redisUsPerOrder, side.postgresUsPerOrder].map { number($0, 1) }
    }

    private static func cells(_ ratio: Spread?) -> [String] {
        [ratio?.median, ratio?.min, ratio?.max].map { $0.map { number($0, 2) } ?? "" }
    }

    private func name(_ figures: BenchReport.StageFigures) -> String {
        figures.stage.rawValue + (hasSeveral ? " P=\(figures.partitions)" : "")
    }

    private var commands: [String] {
        var rows: [[String]] = []
        for figures in report.stages {
            rows.append([name(figures), Self.named(figures.onewrite.redisCommands)])
            if let bare = figures.bare { rows.append(["  bare loop", Self.named(bare.redisCommands)]) }
        }
        let width = rows.map { $0[0].count }.max() ?? 0
        return ["Redis by command, in µs an order (a script's time includes what it calls):"]
            + rows.map { $0[0] + String(repeating: " ", count: width - $0[0].count + 2) + $0[1] }
    }

    private static func named(_ commands: [BenchReport.Command]) -> String {
        commands.prefix(namedCommands).filter { $0.usPerOrder >= negligibleMicroseconds }
            .map { "\($0.name) \(number($0.usPerOrder, 2))" }.joined(separator: " · ")
    }

    private var produce: [String] {
        var rows = [["USE\(hasSeveral ? " P" : "")", "ORDERS/S", "MIN", "MAX", "× SUBMIT", "P50", "P99", "MAX"]]
        for figures in report.produce {
            let rate = figures.ordersPerSecond
            rows.append(
                [figures.use.rawValue + (hasSeveral ? " P=\(figures.partitions)" : "")]
                    + [rate?.median, rate?.min, rate?.max].map { $0.map { FieldError.spaced(Int($0.rounded())) } ?? "" }
                    + [figures.ratioToSubmit.map { Self.number($0.median, 2) } ?? ""]
                    + [figures.ms?.p50, figures.ms?.p99, figures.ms?.max].map { $0.map { Self.number($0, 2) } ?? "" })
        }
        return ["The library's producer in one process; until the receipt, in ms:"] + Self.aligned(rows)
    }

    private var latency: [String] {
        var rows = [["RATE\(hasSeveral ? " P" : "")", "UNTIL", "P50", "P90", "P99", "MAX"]]
        for figures in report.latency {
            rows.append(
                ["\(figures.rate)/s\(hasSeveral ? " P=\(figures.partitions)" : "")", figures.until]
                    + [figures.ms.p50, figures.ms.p90, figures.ms.p99, figures.ms.max].map { Self.number($0, 2) })
        }
        return ["Latency from the moment an order was due until its receipt, and until it was applied, in ms:"]
            + Self.aligned(rows, names: 2)
    }

    /// Columns as wide as they need; the first ones hold names, the others numbers.
    private static func aligned(_ rows: [[String]], names: Int = 1) -> [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return column < names ? row[column] + space : space + row[column]
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    static func number(_ value: Double, _ digits: Int) -> String {
        let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
        let scaled = Int((value * Double(scale)).rounded())
        guard digits > 0 else { return "\(scaled)" }
        let fraction = String(scaled % scale)
        return "\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}
