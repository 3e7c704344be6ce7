import ChangeInput
import Connections
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Onewrite
import OrderLog
import Serving
import Submission

/// Takes changes: one as JSON, or many as NDJSON, whose receipts go back while it still comes.
struct SubmitRoutes: Sendable {
    let producer: Producer
    let configuration: LogConfiguration
    let feed: StatusFeed

    /// A level of durability has a thread and a connection of its own.
    private static let replicasMax = 8
    private static let waitMax = 300

    var routes: [Route] { [Route(.post, "/v1/changes", .submit, submit)] }

    /// What the query and the headers say.
    private struct Wishes {
        var durability: Durability?
        var groups: [Group]
        var limit: Duration?
    }

    @Sendable private func submit(_ call: Call) async throws -> Response {
        try call.allowQuery("wait", "durability")
        let wishes = try wishes(of: call)
        try await requireGroups(wishes.groups)
        switch call.mediaType {
        case "application/json": return try await one(call, wishes)
        case "application/x-ndjson", "application/ndjson":
            guard wishes.groups.isEmpty else {
                throw Problem(.badRequest, "wait goes with one change; of many, ask /v1/status or wait with the last")
            }
            guard call.request.headers[.idempotencyKey] == nil else {
                throw Problem(.badRequest, "Idempotency-Key goes with one change; of many, each has its id")
            }
            return stream(call, wishes)
        default:
            throw Problem(
                .unsupportedMediaType, "expected application/json, or application/x-ndjson for many",
                headers: [.acceptPost: "application/json, application/x-ndjson"])
        }
    }

    /// Refuses to wait for what there is not, before anything is appended.
    private func requireGroups(_ groups: [Group]) async throws(Problem) {
        guard let missing = await feed.missing(of: groups) else { return }
        throw Problem(
            .badRequest, "wait: there is no group \(missing.group); there are \(missing.known.joined(separator: ", "))")
    }

    private func wishes(of call: Call) throws -> Wishes {
        var wishes = Wishes(durability: nil, groups: [], limit: nil)
        if let text = call.query("durability") {
            guard let durability = Durability(text: text) else {
                throw Problem(
                    .badRequest,
                    "durability: expected server, fsync, replicas=N or applied, got \(FieldError.quote(text))")
            }
            if case .replicas(let count) = durability, count > Self.replicasMax {
                throw Problem(.badRequest, "durability: expected at most replicas=\(Self.replicasMax)")
            }
            wishes.durability = durability
        }
        if let text = call.query("wait") {
            wishes.groups = try text.split(separator: ",", omittingEmptySubsequences: false).map { name in
                guard let group = Group(String(name)) else {
                    throw Problem(
                        .badRequest,
                        "wait: expected groups' names, as in wait=postgres,stock, got \(FieldError.quote(String(name)))"
                    )
                }
                return group
            }
        }
        let needsPostgres = wishes.durability == .applied || wishes.groups.contains(.postgres)
        guard !needsPostgres || configuration.postgres != nil else {
            throw Problem(.badRequest, "no Postgres is configured to ask")
        }
        // RFC 7240: how long the client is willing to wait, in seconds.
        for preference in (call.request.headers[.prefer] ?? "").split(separator: ",") {
            let parts = preference.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.first?.lowercased() == "wait" else { continue }
            guard parts.count == 2, let seconds = Int(parts[1]), (1...Self.waitMax).contains(seconds) else {
                throw Problem(.badRequest, "Prefer: expected wait=1 to wait=\(Self.waitMax), in seconds")
            }
            wishes.limit = .seconds(seconds)
        }
        return wishes
    }

    // MARK: - One

    private func one(_ call: Call, _ wishes: Wishes) async throws -> Response {
        let bytes = try await call.body(upTo: Limits.inputLineBytesMax).onOneLine
        let row = InputRow(object: bytes.indices, of: bytes, line: 1, fallbackID: idempotencyKey(call))
        let change: Change
        switch row.result {
        case .success(let good): change = good
        case .failure(let error):
            let receipt = RowReceipt(line: nil, id: row.id, shop: nil, input: nil, outcome: .rejected(error))
            return Response(json: receipt.json(), status: .unprocessableContent)
        }
        let begun = ContinuousClock.now
        let receipt = try await submit(change, wishes)
        let json = RowReceipt(receipt, line: nil, id: change.id).json()
        switch receipt.outcome {
        case .unknown, .unsent:
            return Response(json: json, status: .serviceUnavailable, headers: [.retryAfter: "1"])
        case .conflict, .refused: return Response(json: json, status: .conflict)
        case .rejected: return Response(json: json, status: .unprocessableContent)
        case .accepted, .duplicate:
            let status: HTTPResponse.Status = receipt.outcome == .accepted ? .created : .ok
            guard !wishes.groups.isEmpty else { return Response(json: json, status: status) }
            let left = wishes.limit.map { max(.milliseconds(1), $0 - (ContinuousClock.now - begun)) }
            do {
                try await producer.wait(for: receipt, in: wishes.groups, within: left)
                return Response(json: json, status: status)
            } catch {
                // It is in the log, whatever ended the waiting.
                let reason = (error as? LogError)?.message ?? "the server is stopping"
                return Response(json: json.adding("error", reason), status: .accepted)
            }
        }
    }

    /// Submits, for no longer than the client waits.
    private func submit(_ change: Change, _ wishes: Wishes) async throws -> Receipt {
        guard let limit = wishes.limit else { return try await producer.submit(change, durability: wishes.durability) }
        let race = Race<Receipt>()
        let work = Task { [producer] in
            do {
                race.end(try await producer.submit(change, durability: wishes.durability))
            } catch {
                race.end(Receipt(unsent: change, "no turn came within \(limit.components.seconds) s"))
            }
        }
        let clock = Task {
            try await Task.sleep(for: limit)
            // Taken back, if it is not on its way yet; else its outcome is not known now.
            work.cancel()
            try await Task.sleep(for: .milliseconds(20))
            race.end(Receipt(unknown: change, "no answer within \(limit.components.seconds) s"))
        }
        defer { clock.cancel() }
        return await race.winner() ?? Receipt(unknown: change, "the server is stopping")
    }

    /// The header's value, which may stand in quotes.
    private func idempotencyKey(_ call: Call) -> String? {
        guard var key = call.request.headers[.idempotencyKey]?.trimmingCharacters(in: .whitespaces) else { return nil }
        if key.count >= 2, key.hasPrefix("\""), key.hasSuffix("\"") { key = String(key.dropFirst().dropLast()) }
        return key
    }

    // MARK: - Many

    private func stream(_ call: Call, _ wishes: Wishes) -> Response {
        let rows = BodyRows(body: call.request.body)
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody { [producer] writer in
                let reading = producer.submit(rows: rows, durability: wishes.durability)
                // Throws when the body breaks off, or the client is gone: what was accepted has its receipt by then, and
                // nothing marks the answer as whole.
                while let receipts = try await reading.next() {
                    var buffer = ByteBuffer()
                    for receipt in receipts {
                        buffer.writeString(receipt.json())
                        buffer.writeInteger(UInt8(ascii: "\n"))
                    }
                    try await writer.write(buffer)
                }
                try await writer.finish(nil)
            })
    }
}

/// The first of several that ends.
private final class Race<Value: Sendable>: Sendable {
    private let values: AsyncStream<Value>
    private let continuation: AsyncStream<Value>.Continuation

    init() {
        (values, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
    }

    func end(_ value: Value) { continuation.yield(value) }

    /// Waits for it; nil when the task is cancelled.
    func winner() async -> Value? {
        for await value in values { return value }
        return nil
    }
}

extension String {
    /// This JSON object with a member more.
    fileprivate func adding(_ name: String, _ value: String) -> String {
        var json = JSONLine()
        json.add(name, value)
        return dropLast() + "," + json.text.dropFirst()
    }
}

extension [UInt8] {
    /// The JSON with line breaks between its tokens made spaces: it is kept, byte for byte, where a line is a record.
    fileprivate var onOneLine: [UInt8] {
        guard contains(where: { $0 == 0x0A || $0 == 0x0D }) else { return self }
        var (line, isInString, isEscaped) = (self, false, false)
        for index in line.indices {
            switch line[index] {
            case _ where isEscaped: isEscaped = false
            case UInt8(ascii: "\\"): isEscaped = isInString
            case UInt8(ascii: "\""): isInString.toggle()
            case 0x0A, 0x0D: if !isInString { line[index] = 0x20 }
            default: break
            }
        }
        return line
    }
}
