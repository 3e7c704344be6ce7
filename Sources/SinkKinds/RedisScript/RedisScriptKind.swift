package import Connections
package import OrderLog
import RedisLog
import Sinks

/// A script of the user's in the log's own Redis, which runs in the step that moves the position.
package struct RedisScriptKind: SinkKind {
    package static let name = "redis-script"
    package static let guarantee = "exactly once, in the same Redis"
    package static let settings = ["script", "file"].map { KindSetting($0, isRequired: true, isOption: false) }

    private static let bytesMax = 64 * 1024

    private let group: Group
    private let file: String
    private let script: OwnScript

    package init(_ group: Group, _ settings: KindSettings) throws {
        let text = settings["script"] ?? ""
        guard text.utf8.count <= Self.bytesMax else {
            throw LogError(.badConfiguration, "the script is larger than \(Self.bytesMax / 1024) KiB")
        }
        self.group = group
        file = settings["file"] ?? ""
        script = OwnScript(name: "\(group) (\(file))", text: text)
    }

    package func check(_ servers: Servers, of identity: LogIdentity) throws {
        let scripts = SinkScripts(try servers.master(), keys: servers.keys, group: group)
        let problem: String?
        do {
            problem = try scripts.tryOut(script, on: Self.sample, in: Partition(0))
        } catch  where error.kind == .refused {
            problem = error.message
        }
        guard let problem else { return }
        throw LogError(.badConfiguration, ScriptTrouble.text(problem, file))
    }

    package func connect(_ connections: SinkConnections, of identity: LogIdentity) throws -> MadeSink {
        MadeSink(
            sink: RedisScriptSink(connections.scripts, script, file), past: PostgresSink(try connections.primary()))
    }

    /// A change of each type, to try a script with.
    private static let sample = """
        [{"partition":0,"seq":1,"epoch":1,"entry":"1700000000000-0","at":"2023-11-14T22:13:20.000Z","type":"stock.received",\
        "id":"try-1","shop":"try","lines":[{"sku":"TRY","quantity":5}]},\
        {"partition":0,"seq":2,"epoch":1,"entry":"1700000000001-0","at":"2023-11-14T22:13:20.001Z","type":"order.placed",\
        "id":"try-2","shop":"try","customer":"try","lines":[{"sku":"TRY","quantity":2}],"attributes":{"note":"try"}},\
        {"partition":0,"seq":3,"epoch":1,"entry":"1700000000002-0","at":"2023-11-14T22:13:20.002Z","type":"order.cancelled",\
        "id":"try-2/cancel","shop":"try","order":"try-2","lines":[{"sku":"TRY","quantity":2}]},\
        {"partition":0,"seq":4,"epoch":1,"entry":"1700000000003-0","at":"2023-11-14T22:13:20.003Z","type":"stock.counted",\
        "id":"try-4","shop":"try","lines":[{"sku":"TRY","quantity":4}]},\
        {"partition":0,"seq":5,"epoch":1,"entry":"1700000000004-0","at":"2023-11-14T22:13:20.004Z","type":"order.returned",\
        "id":"try-2/return/1","shop":"try","order":"try-2","lines":[{"sku":"TRY","quantity":1}]}]
        """
}

/// The sink: like `stock` and `delivery` its position is beside its data, in the log's own Redis.
final class RedisScriptSink: BuiltInSink {
    /// Changes that one call hands over: some milliseconds of the server's only thread.
    private static let changesMax = 200
    private static let bytesMax = 512 * 1024

    private let scripts: SinkScripts
    private let script: OwnScript
    private let file: String

    init(_ scripts: SinkScripts, _ script: OwnScript, _ file: String) {
        self.scripts = scripts
        self.script = script
        self.file = file
    }

    var acknowledgesOnApply: Bool { true }

    func fence(_ partition: Partition, under history: History, owner: WorkerName) async throws -> FenceOutcome {
        try scripts.fence(partition, under: history, owner: owner)
    }

    func apply(_ batch: Batch, meanwhile: () async -> Void) async throws -> ApplyOutcome {
        for part in batch.parts(changes: Self.changesMax, bytes: Self.bytesMax) {
            let outcome = try await run(part)
            guard outcome == .applied else { return outcome }
        }
        return .applied
    }

    private func run(_ batch: Batch) async throws -> ApplyOutcome {
        do {
            return try await scripts.apply(batch, to: .own(script, changes: ChangeJSON.array(batch))) {}
        } catch let error as StoreError where error.kind == .refused {
            throw StoreError(
                .redis, .refused, ScriptTrouble.text(error.message, file), outcomeIsUnknown: error.outcomeIsUnknown)
        }
    }
}

/// What Redis says of a script, in terms of the user's file.
enum ScriptTrouble {
    /// The message, with the lines of the file instead of those of the frame, which has one ahead of it.
    static func text(_ message: String, _ file: String) -> String {
        message.replacing(/(?:@?user_script|\[string "[^"]*"\]):(?:[ ]?(?:line )?)(\d+)/) { match in
            "\(file):\((Int(match.1) ?? 1) - 1)"
        }
    }
}
