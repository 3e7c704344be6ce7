package import Reports

/// The plain table of `onewrite status`: which stores these are, a line a group, then what needs a person.
///
/// Never coloured, so that it reads the same in a terminal, a file and a mail.
package enum StatusTable {
    /// The whole text of a snapshot, every line ended by a newline.
    package static func text(_ snapshot: Snapshot) -> String {
        // 80 columns with seven digits of lag.
        let header = [
            "GROUP", "LAG", "BEHIND", "PEND", "OLDEST", "DEAD", "APND/S", "APPL/S", "CATCH UP", "WORKERS",
        ]
        let rows = snapshot.groups.map { group in
            [
                sanitized(group.name), Readable.plain(group.lag), Readable.behind(group),
                Readable.plain(group.pending), Readable.oldest(group), Readable.plain(group.dead),
                Readable.rate(group.appendPerSecond), Readable.rate(group.appliedPerSecond), Readable.catchUp(group),
                Readable.plain(group.workers?.count),
            ]
        }
        let widths = header.indices.map { column in
            ([header] + rows).map { $0[column].columns }.max() ?? 0
        }
        var lines = [snapshot.environment.text, "", line(header, widths)] + rows.map { line($0, widths) }
        let notes = attention(servers: snapshot) + snapshot.warnings.map(\.sentence)
        if !notes.isEmpty { lines.append("") }
        lines += notes.map { "! " + sanitized($0) }
        if let refused = refused(snapshot) { lines += ["", refused] }
        if let memory = snapshot.memory { lines += ["", memory.text] }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func line(_ cells: [String], _ widths: [Int]) -> String {
        zip(cells.indices, zip(cells, widths))
            .map { column, cell in cell.0.fitted(to: cell.1, column == 0 ? .leading : .trailing) }
            .joined(separator: "  ")
    }

    /// What the sinks refused: nothing to do about it, but it tells that workers were replaced while they lived.
    private static func refused(_ snapshot: Snapshot) -> String? {
        let counts = snapshot.groups.compactMap { group in
            group.refused.flatMap { $0 > 0 ? "\(sanitized(group.name)) \($0)" : nil }
        }
        guard !counts.isEmpty else { return nil }
        return "refused from workers that had been replaced, without effect: \(counts.joined(separator: ", "))"
    }

    private static func attention(servers snapshot: Snapshot) -> [String] {
        [("redis", snapshot.redis), ("postgres", snapshot.postgres)].compactMap { name, server in
            server.error.map { "\(name) can't be reached: \($0)" }
        }
    }
}

extension Snapshot.Memory {
    /// `Redis's memory 412 MB of 1 GB: log 210 MB (12 MB more a day), …`.
    var text: String {
        func size(_ bytes: Int?) -> String { bytes.map(Readable.bytes) ?? Readable.unknown }
        let growth = logGrowthPerDay.map { $0 > 0 ? " (\(Readable.bytes($0)) more a day)" : "" } ?? ""
        let left = daysLeft.map { "; full in \(Int($0)) days" } ?? ""
        return
            "Redis's memory \(size(used))\(max.map { " of \(Readable.bytes($0))" } ?? ""): log \(size(log))\(growth), window "
            + "\(size(window)), stock \(size(stock)), deliveries \(size(deliveries))\(left)"
    }
}

extension Snapshot.Warning {
    /// The hint, after what it is about: `stock, partition 3: …`.
    var sentence: String {
        let about = [group, partition.map { "partition \($0)" }].compactMap { $0 }.joined(separator: ", ")
        return about.isEmpty ? hint : "\(about): \(hint)"
    }
}
