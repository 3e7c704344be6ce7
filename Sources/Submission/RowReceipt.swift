package import ChangeInput
package import OrderLog
package import RedisLog

/// What became of one row that was submitted: a receipt, and where the row is in its input.
package struct RowReceipt {
    package enum Outcome {
        /// The log answered: accepted, duplicate, conflict or refused.
        case answered(Appender.Result, in: Partition, epoch: Epoch)
        /// It can't be taken as it is.
        case rejected(RowError)
        /// It was sent, and may be in the log: no answer came, or it isn't as durable as wanted.
        case unknown(String)
        /// It was not put into the log, for want of an open one or of time.
        case unsent(String)
    }

    /// Where it begins in the input, from 1; nil for a change that was given by flags.
    package let line: Int?
    package let id: String?
    package let shop: String?
    /// The row, byte for byte, when it was kept.
    package let input: [UInt8]?
    package let outcome: Outcome
    /// What an accepted change, or a duplicate, has reached; nil when no more was asked for than the server's answer.
    package var durability: Durability?
    /// What may have led to a conflict.
    package var hint: String?
    /// The how manieth it was, from 0.
    package let number: Int

    package init(
        line: Int?, id: String?, shop: String?, input: [UInt8]?, outcome: Outcome, durability: Durability? = nil,
        number: Int = 0
    ) {
        self.line = line
        self.id = id
        self.shop = shop
        self.input = input
        self.outcome = outcome
        self.durability = durability
        self.number = number
    }

    /// Why a person has to look at the row; nil for the others.
    package var problem: RowError? {
        switch outcome {
        case .rejected(let error): error
        case .answered(let result, let partition, _) where result.outcome == .conflict:
            RowError(line: line ?? 1, error: FieldError("id", conflict(result, partition)))
        case .answered(let result, _, _) where result.outcome == .refused:
            RowError(line: line ?? 1, error: FieldError("lines", refusal(result)))
        default: nil
        }
    }

    package func conflict(_ result: Appender.Result, _ partition: Partition) -> String {
        "\(id ?? "?") is in the log with another payload (partition \(partition), seq \(FieldError.spaced(result.seq.number)))"
            + (hint.map { ": \($0)" } ?? "")
    }

    /// What an order lacks that wasn't admitted.
    package func refusal(_ result: Appender.Result) -> String {
        "\(id ?? "?") is not covered by the stock: \(result.shortages.map(\.description).joined(separator: "; "))"
    }

    /// The receipt as a line of NDJSON, without its end.
    ///
    /// The outcome of a change that was not put into the log is `unknown` too: both are to be submitted again.
    package func json() -> String {
        var json = JSONLine()
        json.add("schema", "onewrite/submit/v1")
        json.add("id", id)
        switch outcome {
        case .answered(let result, let partition, _):
            json.add("outcome", result.outcome.rawValue)
            json.add("partition", Int64(partition.number))
            let isPlaced = result.outcome != .refused
            json.add("seq", isPlaced ? result.seq.number : nil)
            json.add("entry", isPlaced ? result.entry.description : nil)
            if !isPlaced {
                json.add("after", result.seq.number)
                json.add("lacking", result.shortages)
            }
            if let durability, result.isInLog { json.add("durability", durability.description) }
        case .rejected, .unknown, .unsent:
            if case .rejected = outcome { json.add("outcome", "rejected") } else { json.add("outcome", "unknown") }
            json.add("partition", Int64?.none)
            json.add("seq", Int64?.none)
            json.add("entry", String?.none)
        }
        switch outcome {
        case .unknown(let reason): json.add("error", reason)
        case .unsent(let reason): json.add("error", "not in the log: \(reason)")
        case .answered, .rejected: break
        }
        if let problem {
            json.add("line", line.map { _ in Int64(problem.line) })
            json.add("field", problem.error.field)
            json.add("error", problem.error.message)
        }
        return json.text
    }
}

/// One JSON object on one line, built value by value.
package struct JSONLine {
    private var body = ""

    package init() {}

    package var text: String { "{\(body)}" }

    package mutating func add(_ name: String, _ value: String?) {
        begin(name)
        guard let value else {
            body += "null"
            return
        }
        body += "\""
        defer { body += "\"" }
        // As nearly all are: nothing to escape.
        if value.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            body += value
            return
        }
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\":
                body += "\\"
                body.unicodeScalars.append(scalar)
            case "\n": body += "\\n"
            case "\r": body += "\\r"
            case "\t": body += "\\t"
            case ..<" ": body += scalar.value < 16 ? "\\u000\(hex(scalar))" : "\\u00\(hex(scalar))"
            default: body.unicodeScalars.append(scalar)
            }
        }
    }

    package mutating func add(_ name: String, _ value: Int64?) {
        begin(name)
        body += value.map(String.init) ?? "null"
    }

    package mutating func add(_ name: String, _ value: Bool?) {
        begin(name)
        body += value.map { $0 ? "true" : "false" } ?? "null"
    }

    /// `[{"sku":"TEA-250","wanted":3,"available":1}]`.
    package mutating func add(_ name: String, _ shortages: [Shortage]) {
        begin(name)
        let objects = shortages.map { shortage in
            var object = JSONLine()
            object.add("sku", shortage.sku)
            object.add("wanted", shortage.wanted)
            object.add("available", shortage.available)
            return object.text
        }
        body += "[\(objects.joined(separator: ","))]"
    }

    private mutating func begin(_ name: String) {
        if !body.isEmpty { body += "," }
        body += "\"\(name)\":"
    }

    private func hex(_ scalar: Unicode.Scalar) -> String { String(scalar.value, radix: 16) }
}
