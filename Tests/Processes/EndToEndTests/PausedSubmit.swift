import Foundation
import PrivateServers
import Testing
import TestSupport

/// A submitter that appends one order, and another one when it is told to go on.
struct PausedSubmit {
    let servers: TestServers
    let directory: PrivateDirectory

    /// Submits both, and returns when the command has ended.
    ///
    /// `flags` stand behind `submit - --json`, redirections too.
    func run(_ flags: String) async throws -> ChildProcess.Completed {
        let order = #"{"id":"ID","shop":"main","customer":"c","lines":[{"sku":"TEA","quantity":1}]}"#
        let script = """
            (echo '\(order.replacing("ID", with: "one"))'; while [ ! -e go ]; do sleep 0.05; done
            echo '\(order.replacing("ID", with: "two"))') \
            | \(BuiltExecutable.path) submit - --json \(flags)
            """
        return try await ChildProcess.run(
            ["/bin/sh", "-c", script], environment: servers.environment, in: directory.path, within: .seconds(60))
    }

    /// Waits until the first order is in the log.
    func hasBegun() async throws {
        try await eventually("the first order is in the log") {
            try await servers.redis.ask("HGET", "{\(servers.namespace):5}:head", "seq") == "1"
        }
    }

    /// Has it submit the second.
    func goOn() -> Bool { FileManager.default.createFile(atPath: directory.path + "/go", contents: nil) }
}
