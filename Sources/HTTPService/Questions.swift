import Connections
import Foundation
import HTTPTypes
import Hummingbird
import Inspection
import NIOCore
import Onewrite
import Reports
import Synchronization
import ThreadedIO

/// Asks the stores, few at a time: each question has connections and a thread of its own.
final class Questions: Sendable {
    let inspector: Inspector
    private let turns = Turns(atOnce: HTTPLimits.questionsMax, waiting: HTTPLimits.questionsWaitingMax)

    init(_ configuration: LogConfiguration) {
        inspector = Inspector(configuration, name: "onewrite-serve")
    }

    /// Asks on a thread of its own, when it is this question's turn.
    ///
    /// - Throws: ``Problem`` when too many wait; what the body throws.
    func ask<Answer: Sendable>(_ body: @escaping @Sendable (Servers, Interrupt) async throws -> Answer) async throws
        -> Answer
    {
        guard await turns.take() else {
            throw Problem(.unavailable, "too many questions at once", headers: [.retryAfter: "1"])
        }
        defer { turns.giveBack() }
        return try await inspector.ask(body)
    }
}

/// Turns that are taken and given back.
final class Turns: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Bool, Never>] = []
    }

    private let waitingMax: Int
    private let state: Mutex<State>

    init(atOnce: Int, waiting: Int) {
        waitingMax = waiting
        state = Mutex(State(free: atOnce))
    }

    /// Waits for a turn; false when too many wait already.
    func take() async -> Bool {
        await withCheckedContinuation { continuation in
            let answer = state.withLock { state -> Bool? in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                guard state.waiting.count < waitingMax else { return false }
                state.waiting.append(continuation)
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    func giveBack() {
        let next = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard !state.waiting.isEmpty else {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume(returning: true)
    }
}

extension Problem {
    /// What the stores' errors are over HTTP; nil for others.
    init?(asking error: any Error) {
        guard let error = LogError(anyOf: error) else { return nil }
        switch error.kind {
        case .no: self.init(.notFound, error.message)
        case .unreachable, .tryAgain, .notPermitted, .badConfiguration: self.init(.unavailable, error.message)
        case .bug: self.init(.bug, error.message)
        }
    }
}

extension Response {
    /// A value as JSON.
    init(_ value: some Encodable, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) throws {
        self.init(json: try JSONText.line(of: value), status: status, headers: headers)
    }

    /// A text that is JSON.
    init(json: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) {
        var headers = headers
        headers[.contentType] = "application/json"
        self.init(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: json)))
    }

    /// Values as NDJSON.
    init(lines values: some Sequence<some Encodable>, headers: HTTPFields = [:]) throws {
        var headers = headers
        headers[.contentType] = "application/x-ndjson"
        let text = try values.map { try JSONText.line(of: $0) + "\n" }.joined()
        self.init(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
