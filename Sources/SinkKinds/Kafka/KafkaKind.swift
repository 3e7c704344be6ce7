#if Kafka
package import Connections
import Foundation
import KafkaClient
package import OrderLog
import Sinks
import ThreadedIO

/// A topic of Kafka's, in transactions that move the position, too.
package struct KafkaKind: SinkKind {
    package static let name = "kafka"
    package static let guarantee = "exactly once, for read_committed consumers"
    package static let settings = [
        KindSetting("brokers", isRequired: true), KindSetting("topic", isRequired: true), KindSetting("key"),
        KindSetting("value"),
    ]
    package static let takesProperties = true

    /// What a message's key is.
    enum Key: String, CaseIterable { case shop, order }
    /// What its value is.
    enum Value: String, CaseIterable { case change, job }

    /// Settings of librdkafka's that the position, or the order, rests on.
    private static let ours: Set<String> = [
        "transactional.id", "enable.idempotence", "enable.gapless.guarantee", "group.id", "bootstrap.servers",
        "metadata.broker.list", "isolation.level", "enable.auto.commit", "dr_cb", "dr_msg_cb", "opaque", "log_cb",
        "error_cb", "acks", "request.required.acks",
    ]
    /// Those that must not be recorded as they are.
    private static let secrets: Set<String> = [
        "sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password", "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
    ]

    let group: Group
    let topic: String
    let key: Key
    let value: Value
    private let given: [String: String]

    package init(_ group: Group, _ settings: KindSettings) throws {
        self.group = group
        topic = settings["topic"] ?? ""
        guard (1...249).contains(topic.utf8.count), topic.utf8.allSatisfy(Self.isOfTopic), ![".", ".."].contains(topic)
        else { throw settings.wrong("topic", "expected 1 to 249 of A-Z a-z 0-9 . _ -") }
        key = Key(rawValue: try settings.choice("key", of: Key.allCases.map(\.rawValue), default: "shop")) ?? .shop
        value =
            Value(rawValue: try settings.choice("value", of: Value.allCases.map(\.rawValue), default: "change"))
            ?? .change
        var given = settings.properties
        for (name, text) in given {
            guard !Self.ours.contains(name) else {
                throw LogError(.badConfiguration, "--property \(name): Onewrite sets it itself")
            }
            guard !Self.secrets.contains(name) || SecretText.isReference(text) else {
                throw LogError(
                    .badConfiguration,
                    "--property \(name): a secret is not recorded. Say \(name)=env:VARIABLE or \(name)=file:PATH")
            }
        }
        given["bootstrap.servers"] = settings["brokers"]
        self.given = given
    }

    private static func isOfTopic(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// librdkafka's settings, secrets read.
    func properties(clientID: String) throws -> [String: String] {
        var properties = [
            "client.id": clientID, "topic.metadata.propagation.max.ms": "5000", "linger.ms": "5",
            "transaction.timeout.ms": "60000", "queue.buffering.max.kbytes": "262144",
        ]
        for (name, text) in given { properties[name] = try SecretText.read(text, of: name) }
        return properties
    }

    package func check(_ servers: Servers, of identity: LogIdentity) throws {
        let properties = try properties(clientID: servers.name)
        do {
            _ = try KafkaLook(properties).partitions(of: topic, until: .after(.seconds(10)))
            // A producer of its own ID: one that serves the group is not disturbed.
            let producer = try KafkaProducer(
                properties, transactionalID: "onewrite-\(identity.log)-\(group)-try-\(UUID().uuidString)")
            try producer.initTransactions(until: .after(.seconds(20)))
        } catch {
            let kind: LogError.Kind =
                switch error.kind {
                case .misconfigured, .unknownTopic, .tooLarge: .badConfiguration
                case .notPermitted: .notPermitted
                case .retriable, .abortable, .fatal, .fenced: .unreachable
                }
            let about =
                error.kind == .unknownTopic ? "--topic \(topic)" : "--brokers \(given["bootstrap.servers"] ?? "")"
            throw LogError(kind, error.kind == .misconfigured ? "--property \(error)" : "\(about): \(error)")
        }
    }

    package func connect(_ connections: SinkConnections, of identity: LogIdentity) throws -> MadeSink {
        try connections.following(
            KafkaSink(self, try properties(clientID: connections.servers.name), identity))
    }
}

/// A setting's value, or where it is kept.
enum SecretText {
    static func isReference(_ text: String) -> Bool { text.hasPrefix("env:") || text.hasPrefix("file:") }

    /// Reads what `env:VARIABLE` or `file:PATH` refer to; any other text is itself.
    static func read(_ text: String, of name: String) throws(LogError) -> String {
        if text.hasPrefix("env:") {
            let variable = String(text.dropFirst(4))
            guard let value = ProcessInfo.processInfo.environment[variable], !value.isEmpty else {
                throw LogError(
                    .badConfiguration,
                    "--property \(name): the environment variable \(FieldError.quote(variable)) is not set here")
            }
            return value
        }
        guard text.hasPrefix("file:") else { return text }
        let path = String(text.dropFirst(5))
        guard let data = FileManager.default.contents(atPath: path) else {
            throw LogError(.badConfiguration, "--property \(name): \(FieldError.quote(path)) can't be read")
        }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
    }
}
#endif
