import ChangeInput
import OrderLog
import RedisLog

/// What became of one change that was submitted.
struct Receipt {
    enum Outcome {
        /// The log answered: accepted, duplicate or conflict.
        case answered(Appender.Result, in: Partition, epoch: Epoch)
        /// It can't be taken as it is.
        case rejected(RowError)
        /// It was sent, and may be in the log: no answer came, or it isn't as durable as wanted.
        case unknown(String)
        /// It was not put into the log, for want of an open one or of time.
        case unsent(String)
    }

    /// Where it begins in the input, from 1; nil for a change that was given by flags.
    let line: Int?
    let id: String?
    let shop: String?
    /// The row, byte for byte, when it was kept.
    let input: [UInt8]?
    let outcome: Outcome
    /// What an accepted change, or a duplicate, has reached; nil when no more was asked for than the server's answer.
    var durability: Durability?
    /// What may have led to a conflict.
    var hint: String?

    /// Why a person has to look at the row; nil for the others.
    var problem: RowError? {
        switch outcome {
        case .rejected(let error): error
        case .answered(let result, let partition, _) where result.outcome == .conflict:
            RowError(line: line ?? 1, error: FieldError("id", conflict(result, partition)))
        default: nil
        }
    }

    func conflict(_ result: Appender.Result, _ partition: Partition) -> String {
        "\(id ?? "?") is in the log with another payload (partition \(partition), seq \(FieldError.spaced(result.seq.number)))"
            + (hint.map { ": \($0)" } ?? "")
    }

    /// The receipt as a line of NDJSON, without its end.
    ///
    /// The outcome of a change that was not put into the log is `unknown` too: both are to be submitted again.
    func json() -> String {
        var json = JSONLine()
        json.add("schema", "onewrite/submit/v1")
        json.add("id", id)
        switch outcome {
        case .answered(let result, let partition, _):
            json.add("outcome", result.outcome.rawValue)
            json.add("partition", Int64(partition.number))
            json.add("seq", result.seq.number)
            json.add("entry", result.entry.description)
            if let durability, result.outcome != .conflict { json.add("durability", durability.description) }
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
struct JSONLine {
    private var body = ""

    var text: String { "{\(body)}" }

    mutating func add(_ name: String, _ value: String?) {
        begin(name)
        guard let value else {
            body += "null"
            return
        }
        body += "\""
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
        body += "\""
    }

    mutating func add(_ name: String, _ value: Int64?) {
        begin(name)
        body += value.map(String.init) ?? "null"
    }

    mutating func add(_ name: String, _ value: Bool?) {
        begin(name)
        body += value.map { $0 ? "true" : "false" } ?? "null"
    }

    private mutating func begin(_ name: String) {
        if !body.isEmpty { body += "," }
        body += "\"\(name)\":"
    }

    private func hex(_ scalar: Unicode.Scalar) -> String { String(scalar.value, radix: 16) }
}
