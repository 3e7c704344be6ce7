import HTTPTypes
import Hummingbird
import Onewrite

/// A line of an order: `{"sku":"TEA-250","quantity":2}`.
struct OrderLine: Codable {
    var sku: String
    var quantity: Int64
}

/// What a client sends.
struct NewOrder: Decodable {
    var customer: String
    var lines: [OrderLine]
}

/// An order as Postgres has it.
struct ShownOrder: Encodable {
    var id: String
    /// `placed` or `cancelled`.
    var status: String
    var customer: String
    var lines: [OrderLine]
}

/// What became of a change.
struct Outcome: Encodable {
    var id: String
    /// accepted, duplicate, conflict, refused, rejected or unknown.
    var outcome: String
    /// Where the log has it.
    var partition: Int?
    var seq: Int64?
    /// For people.
    var error: String?

    init(_ receipt: Receipt) {
        id = receipt.id
        (partition, seq) = (receipt.partition?.number, receipt.seq?.number)
        switch receipt.outcome {
        case .accepted: outcome = "accepted"
        case .duplicate: outcome = "duplicate"
        case .conflict: (outcome, error) = ("conflict", "the Idempotency-Key is in use with another order")
        case .refused(let shortages):
            (outcome, error) = ("refused", shortages.map(\.description).joined(separator: "; "))
        case .rejected(let reason): (outcome, error) = ("rejected", reason)
        case .unknown(let reason), .unsent(let reason): (outcome, error) = ("unknown", reason)
        }
    }
}

extension HTTPField.Name {
    static let idempotencyKey = named("Idempotency-Key")
    static let prefer = named("Prefer")
    static let preferenceApplied = named("Preference-Applied")

    private static func named(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("a header's name") }
        return name
    }
}

extension Request {
    /// How long the client wants to wait: `Prefer: wait=5`, at most ten seconds.
    ///
    /// RFC 7240, section 4.3: <https://www.rfc-editor.org/rfc/rfc7240#section-4.3>
    var waits: Duration? {
        guard let text = headers[.prefer], text.hasPrefix("wait="), let seconds = Int(text.dropFirst(5)), seconds > 0
        else { return nil }
        return .seconds(min(seconds, 10))
    }
}
