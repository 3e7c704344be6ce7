package import Connections
import Foundation
import HTTPClient
package import OrderLog
import Sinks
import ThreadedIO

/// A URL to which changes are posted, in the log's order within a partition.
package struct WebhookKind: SinkKind {
    package static let name = "webhook"
    package static let guarantee = "at least once, in order; the receiver makes it once by the key"
    package static let settings = [
        KindSetting("url", isRequired: true), KindSetting("secret-env"), KindSetting("unsigned"), KindSetting("batch"),
        KindSetting("answer-within"), KindSetting("quarantine"), KindSetting("allow-private"), KindSetting("ca-file"),
        KindSetting("header-env"),
    ]

    let group: Group
    let url: WebhookURL
    /// Changes that one request holds.
    let batch: Int
    let timeout: Duration
    /// The statuses by which a change is set aside.
    let quarantined: Set<Int>
    /// Shared by all of a worker's lanes.
    let circuit: WebhookCircuit
    private let settings: KindSettings
    private let allowsPrivate: Bool

    package init(_ group: Group, _ settings: KindSettings) throws {
        self.group = group
        self.settings = settings
        guard let url = WebhookURL(settings["url"] ?? "") else {
            // It may hold a password.
            throw LogError(.badConfiguration, "--url: expected http://… or https://…, without a user or a password")
        }
        self.url = url
        batch = try settings.number("batch", in: 1...500, default: 1)
        timeout = .seconds(try settings.number("answer-within", in: 1...60, default: 10))
        quarantined = Set(
            try settings.list("quarantine", "statuses from 400 to 499 other than 408, 410 and 429, parted by commas") {
                Int($0).map { (400..<500).contains($0) && ![408, 410, 429].contains($0) } ?? false
            }.compactMap { Int($0) })
        allowsPrivate = settings["allow-private"] != nil
        circuit = WebhookCircuit(host: url.host)
        guard (settings["secret-env"] == nil) == (settings["unsigned"] != nil) else {
            throw LogError(
                .badConfiguration,
                "--secret-env: expected the name of an environment variable with the secret, whsec_ and Base64; or --unsigned"
            )
        }
    }

    package func check(_ servers: Servers, of identity: LogIdentity) throws {
        _ = try signer()
        _ = try extraHeader()
        do {
            try poster().tryConnecting(until: .after(timeout))
        } catch {
            let kind: LogError.Kind =
                switch error {
                case .addressRefused: .notPermitted
                case .misconfigured: .badConfiguration
                case .unreachable, .lost: .unreachable
                }
            let hint = kind == .notPermitted ? ". If that is meant: --allow-private" : ""
            throw LogError(kind, "--url \(url.host): \(error)\(hint)")
        }
    }

    package func connect(_ connections: SinkConnections, of identity: LogIdentity) throws -> MadeSink {
        let ledger = PostgresSink(try connections.primary())
        let sink = WebhookSink(
            self, poster: poster(), signer: try signer(), extraHeader: try extraHeader(), scripts: connections.scripts,
            pace: LedgerPace(group, ledger), identity: identity, isStopping: connections.isStopping)
        return MadeSink(sink: sink, past: ledger)
    }

    private func poster() -> HTTPPoster {
        HTTPPoster(url: url.text, certificates: settings["ca-file"], allowsPrivate: allowsPrivate)
    }

    /// nil where nothing is signed.
    private func signer() throws -> WebhookSigner? {
        guard let secret = try settings.environment("secret-env") else { return nil }
        guard let signer = WebhookSigner(secret: secret) else {
            throw LogError(
                .badConfiguration,
                "--secret-env: the environment variable holds no secret: expected whsec_ and the Base64 of 24 to 64 bytes"
            )
        }
        return signer
    }

    /// A header of the receiver's own, such as one that lets a request in: `Name: value`.
    private func extraHeader() throws -> (name: String, value: String)? {
        guard let line = try settings.environment("header-env") else { return nil }
        let parts = line.split(separator: ":", maxSplits: 1)
        let name = parts.first.map(String.init) ?? ""
        let value = parts.dropFirst().first?.trimmingCharacters(in: .whitespaces) ?? ""
        guard parts.count == 2, !value.isEmpty, !name.isEmpty, name.utf8.allSatisfy(Self.isOfToken),
            !value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        else {
            throw LogError(
                .badConfiguration, "--header-env: the environment variable holds no header: expected Name: value")
        }
        return (name, value)
    }

    private static func isOfToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// Where to post.
struct WebhookURL: Sendable {
    let text: String
    /// Host, and port where one is given: for people.
    ///
    /// Paths and queries may hold secrets.
    let host: String

    /// Takes `http://` or `https://` with a host and without a user; nil for anything else.
    init?(_ text: String) {
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ (0x21..<0x7F).contains($0) }),
            let parts = URLComponents(string: text), ["http", "https"].contains(parts.scheme?.lowercased()),
            let host = parts.host, !host.isEmpty, parts.user == nil, parts.password == nil, parts.fragment == nil
        else { return nil }
        self.text = text
        self.host = host + (parts.port.map { ":\($0)" } ?? "")
    }
}
