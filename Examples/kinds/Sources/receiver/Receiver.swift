import Crypto
import Foundation
import GRDB
import HTTPTypes
import Hummingbird

/// A webhook's receiver that makes each change count once: `receiver PORT FILE.sqlite`.
///
/// What it keeps of a partition, the last seq and the highest (epoch, token), is in the transaction of its effect, here a row an
/// order. The secret is in `WEBHOOK_SECRET`; without one nothing is verified.
@main
struct Receiver {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let port = Int(arguments[1]) else {
            FileHandle.standardError.write(Data("receiver: expected PORT FILE.sqlite\n".utf8))
            exit(64)
        }
        let book = try OrderBook(path: arguments[2])
        let signature = ProcessInfo.processInfo.environment["WEBHOOK_SECRET"].map(WebhookSignature.init)
        let router = Router()
        router.post("hooks") { request, _ -> HTTPResponse.Status in
            let body = try await request.body.collect(upTo: 4 << 20)
            let bytes = Data(body.readableBytesView)
            func header(_ name: String) -> String { HTTPField.Name(name).flatMap { request.headers[$0] } ?? "" }
            if let signature, !signature.covers(bytes, header: header, at: Date()) { return .unauthorized }
            guard let partition = Int(header("Onewrite-Partition")), let epoch = Int(header("Onewrite-Epoch")),
                let token = Int(header("Onewrite-Token"))
            else { return .badRequest }
            let place = OrderBook.Place(log: header("Onewrite-Log"), partition: partition)
            let changes = try Posted.changes(in: bytes)
            return try await book.take(changes, at: place, epoch: epoch, token: token) ? .ok : .conflict
        }
        try await Application(router: router, configuration: .init(address: .hostname("127.0.0.1", port: port))).run()
    }
}

/// The secret of Standard Webhooks, `whsec_` and Base64.
struct WebhookSignature: Sendable {
    let secret: String

    /// Whether a body is signed with it, not longer than five minutes ago.
    func covers(_ body: Data, header: (String) -> String, at now: Date) -> Bool {
        guard let timestamp = Int(header("webhook-timestamp")),
            abs(now.timeIntervalSince1970 - Double(timestamp)) < 300,
            let key = Data(base64Encoded: String(secret.dropFirst("whsec_".count)))
        else { return false }
        let content = Data("\(header("webhook-id")).\(timestamp).".utf8) + body
        return header("webhook-signature").split(separator: " ").contains { text in
            guard text.hasPrefix("v1,"), let code = Data(base64Encoded: String(text.dropFirst(3))) else { return false }
            // Compares in constant time.
            return HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: content, using: SymmetricKey(data: key))
        }
    }
}

/// What is posted: one change, or a list of them.
struct Posted: Decodable {
    struct Change: Decodable, Sendable {
        struct Line: Decodable, Sendable { let quantity: Int }

        let seq: Int
        let type: String
        let id: String
        let shop: String
        let customer: String?
        let order: String?
        let lines: [Line]
    }

    private let data: [Change]

    private enum CodingKeys: CodingKey { case data }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        do {
            data = try container.decode([Change].self, forKey: .data)
        } catch DecodingError.typeMismatch {
            data = [try container.decode(Change.self, forKey: .data)]
        }
    }

    static func changes(in body: Data) throws -> [Change] { try JSONDecoder().decode(Posted.self, from: body).data }
}

/// Orders, and how far each partition is.
struct OrderBook: Sendable {
    struct Place: Sendable {
        let log: String
        let partition: Int
    }

    private let database: DatabaseQueue

    init(path: String) throws {
        database = try DatabaseQueue(path: path)
        try database.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS positions (
                        log TEXT, part INTEGER, seq INTEGER, epoch INTEGER, token INTEGER, PRIMARY KEY (log, part));
                    CREATE TABLE IF NOT EXISTS orders (
                        shop TEXT, id TEXT, customer TEXT, status TEXT, items INTEGER, PRIMARY KEY (shop, id));
                    """)
        }
    }

    /// Makes changes count once; false when a younger worker has been here.
    func take(_ changes: [Posted.Change], at place: Place, epoch: Int, token: Int) async throws -> Bool {
        try await database.write { db in
            let row = try Row.fetchOne(
                db, sql: "SELECT seq, epoch, token FROM positions WHERE log = ? AND part = ?",
                arguments: [place.log, place.partition])
            let known: (epoch: Int, token: Int) = row.map { ($0["epoch"], $0["token"]) } ?? (0, 0)
            if (epoch, token) < known { return false }
            var seq: Int = row?["seq"] ?? 0
            for change in changes where change.seq > seq {
                seq = change.seq
                try apply(change, db)
            }
            try db.execute(
                sql: "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?)",
                arguments: [place.log, place.partition, seq, epoch, token])
            return true
        }
    }

    /// The effect: yours.
    private func apply(_ change: Posted.Change, _ db: Database) throws {
        switch change.type {
        case "order.placed":
            try db.execute(
                sql: "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, 'placed', ?)",
                arguments: [change.shop, change.id, change.customer, change.lines.reduce(0) { $0 + $1.quantity }])
        case "order.cancelled":
            try db.execute(
                sql: "UPDATE orders SET status = 'cancelled' WHERE shop = ? AND id = ?",
                arguments: [change.shop, change.order])
        default: break
        }
    }
}
