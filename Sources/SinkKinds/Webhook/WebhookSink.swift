import Faults
import Foundation
import HTTPClient
import OrderLog
import RedisLog
import Coordination
import Sinks
import ThreadedIO

/// Posts changes, and moves the position in Redis when the receiver has taken them.
final class WebhookSink: BuiltInSink {
    private static let bytesMax = 1 << 20

    private let kind: WebhookKind
    private let poster: HTTPPoster
    private let signer: WebhookSigner?
    private let extraHeader: (name: String, value: String)?
    private let scripts: SinkScripts
    private let pace: LedgerPace
    private let identity: LogIdentity
    private let isStopping: @Sendable () -> Bool

    init(
        _ kind: WebhookKind, poster: HTTPPoster, signer: WebhookSigner?, extraHeader: (name: String, value: String)?,
        scripts: SinkScripts, pace: LedgerPace, identity: LogIdentity, isStopping: @escaping @Sendable () -> Bool
    ) {
        self.kind = kind
        self.poster = poster
        self.signer = signer
        self.extraHeader = extraHeader
        self.scripts = scripts
        self.pace = pace
        self.identity = identity
        self.isStopping = isStopping
    }

    var acknowledgesOnApply: Bool { true }

    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome {
        try scripts.fence(partition, under: history, owner: owner)
    }

    func apply(_ batch: Batch, meanwhile: () async -> Void) async throws -> ApplyOutcome {
        guard try await pace.reaches(batch) else { return .historyChanged }
        for part in batch.parts(changes: kind.batch, bytes: Self.bytesMax) {
            // What was taken is taken; the rest is another worker's.
            if isStopping() { throw SessionStop.stopping }
            let outcome = try await take(part)
            guard outcome == .applied else { return outcome }
        }
        return .applied
    }

    private func take(_ batch: Batch) async throws -> ApplyOutcome {
        switch try batch.applied.isEmpty ? .taken : post(batch) {
        case .taken:
            try Faults.pass(.batchHandedOver)
            return try await scripts.apply(batch, to: .elsewhere) {}
        case .refused(let reason):
            // Each on its own tells which one it is.
            guard batch.applied.count > 1 else {
                let one = batch.applied.first.flatMap { batch.settingAside($0.place.seq, Quarantine(.refused, reason)) }
                return try await scripts.apply(one ?? batch, to: .elsewhere) {}
            }
            for part in batch.parts(changes: 1, bytes: Self.bytesMax) {
                let outcome = try await take(part)
                guard outcome == .applied else { return outcome }
            }
            return .applied
        }
    }

    private enum Answer {
        case taken
        case refused(String)
    }

    /// Posts a batch, and judges the answer.
    private func post(_ batch: Batch) throws -> Answer {
        try kind.circuit.admit()
        let body = body(batch)
        let response: HTTPPoster.Response
        do {
            response = try poster.post(body, headers: headers(batch, body), until: .after(kind.timeout))
        } catch {
            throw kind.circuit.fail("\(error)")
        }
        let status = "HTTP \(response.status)"
        switch response.status {
        case 200..<300:
            kind.circuit.succeed()
            return .taken
        case 410:
            throw kind.circuit.halt(
                "\(status): the receiver wants no more. Remove the group, or add it with another URL")
        case 300..<400:
            throw kind.circuit.halt(
                "\(status): redirects are not followed. Add the group with the URL that it leads to")
        case 408, 425, 429, 500...:
            throw kind.circuit.fail(status, wish: response.retryAfter.flatMap { RetryAfter.duration($0, now: Date()) })
        case let code where kind.quarantined.contains(code):
            kind.circuit.succeed()
            return .refused(status)
        default:
            let first = batch.applied.first.map { "seq \($0.place.seq) of partition \(batch.permit.partition)" } ?? ""
            throw kind.circuit.halt("\(status) for \(first): a person has to decide")
        }
    }

    private func headers(_ batch: Batch, _ body: String) -> [(name: String, value: String)] {
        let (permit, seqs) = (batch.permit, batch.applied.map(\.place.seq))
        let (first, last) = (seqs.first?.description ?? "", seqs.last?.description ?? "")
        let place = first == last ? last : "\(first)-\(last)"
        let id = "\(identity.log)/\(permit.partition)/\(place)"
        let timestamp = Int(Date().timeIntervalSince1970)
        var headers = [
            ("Content-Type", "application/json"), ("User-Agent", "Onewrite"), ("Expect", ""),
            ("Idempotency-Key", id), ("Onewrite-Log", identity.log), ("Onewrite-Group", kind.group.name),
            ("Onewrite-Partition", permit.partition.description), ("Onewrite-First-Seq", first),
            ("Onewrite-Seq", last), ("Onewrite-Epoch", permit.history.epoch.description),
            ("Onewrite-Token", permit.token.description), ("webhook-id", id), ("webhook-timestamp", "\(timestamp)"),
        ]
        if let signer {
            headers.append(("webhook-signature", signer.signature(id: id, timestamp: timestamp, body: body)))
        }
        if let extraHeader { headers.append(extraHeader) }
        return headers
    }

    /// One change as `{"type":…,"timestamp":…,"data":{…}}`; with `--batch` a list of them, of type `onewrite.batch`.
    private func body(_ batch: Batch) -> String {
        let last = batch.applied.last
        let timestamp = last.map { ChangeJSON.timestamp($0.id) } ?? ""
        guard kind.batch == 1, let last else {
            return "{\"type\":\"onewrite.batch\",\"timestamp\":\"\(timestamp)\",\"data\":\(ChangeJSON.array(batch))}"
        }
        let data = ChangeJSON.text(last, in: batch.permit.partition)
        return "{\"type\":\"\(last.change.kind.rawValue)\",\"timestamp\":\"\(timestamp)\",\"data\":\(data)}"
    }
}

/// The header `Retry-After`.
///
/// <https://datatracker.ietf.org/doc/html/rfc9110#name-retry-after>
enum RetryAfter {
    /// How long to wait: seconds, or until a date; nil for anything else.
    static func duration(_ value: String, now: Date) -> Duration? {
        if let seconds = Int(value), seconds >= 0 { return .seconds(min(seconds, 86_400)) }
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        return format.date(from: value).map { .seconds(max(0, $0.timeIntervalSince(now))) }
    }
}
