import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import OrderLog

/// What a request comes with: where it is from.
struct CallContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: String?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        remoteAddress = source.channel.remoteAddress?.ipAddress
    }
}

/// One request, with what its path says, and who asks.
struct Call: Sendable {
    let request: Request
    /// The path's variable parts, in order, decoded.
    let parts: [String]
    let who: Identity
    let address: String

    /// The query's value of a name, decoded.
    func query(_ name: String) -> String? {
        request.uri.queryParameters[name[...]].map { String($0) }
    }

    /// Refuses names that the query may not have, or has twice: one of them would be passed over in silence.
    ///
    /// - Parameters:
    ///   - names: What it may have once.
    ///   - list: What it may have several times.
    /// - Throws: ``Problem``.
    func allowQuery(_ names: String..., list: String? = nil) throws(Problem) {
        let names = names + (list.map { [$0] } ?? [])
        var seen: Set<Substring> = []
        for (name, _) in request.uri.queryParameters where list.map({ $0 == name }) != true {
            guard seen.insert(name).inserted else {
                throw Problem(.badRequest, "\(FieldError.quote(String(name))) is there twice")
            }
            guard !names.contains(String(name)) else { continue }
            throw Problem(
                .badRequest,
                "there is no parameter \(FieldError.quote(String(name))); there "
                    + (names.isEmpty
                        ? "is none" : names.count == 1 ? "is \(names[0])" : "are \(names.joined(separator: ", "))"))
        }
    }

    func integer(_ name: String, _ range: ClosedRange<Int>, default fallback: Int) throws(Problem) -> Int {
        guard let text = query(name) else { return fallback }
        guard let number = Int(text), range.contains(number) else {
            throw Problem(
                .badRequest,
                "\(name): expected \(range.lowerBound) to \(range.upperBound), got \(FieldError.quote(text))")
        }
        return number
    }

    func flag(_ name: String) throws(Problem) -> Bool {
        switch query(name) {
        case nil, "false": return false
        case "true", "": return true
        case let text?: throw Problem(.badRequest, "\(name): expected true or false, got \(FieldError.quote(text))")
        }
    }

    func group() throws(Problem) -> Group? {
        guard let text = query("group") else { return nil }
        guard let group = Group(text) else {
            throw Problem(.badRequest, "group: expected a group's name, got \(FieldError.quote(text))")
        }
        return group
    }

    /// The whole body, which may not be longer, nor take longer to come.
    func body(upTo bytesMax: Int) async throws -> [UInt8] {
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > bytesMax {
            throw Self.tooLarge(bytesMax)
        }
        var bytes: [UInt8] = []
        let begun = ContinuousClock.now
        do {
            // A read that never ends is ended by the connection's own idle timeout.
            for try await buffer in request.body {
                guard bytes.count + buffer.readableBytes <= bytesMax else { throw Self.tooLarge(bytesMax) }
                bytes.append(contentsOf: buffer.readableBytesView)
                guard ContinuousClock.now - begun < HTTPLimits.bodyTimeout else {
                    throw Problem(
                        .timeout, "the body didn't come within \(HTTPLimits.bodyTimeout.components.seconds) s",
                        headers: [.connection: "close"])
                }
            }
        } catch let problem as Problem {
            throw problem
        } catch {
            throw Problem(.badRequest, "the body broke off: nothing of it was taken", headers: [.connection: "close"])
        }
        return bytes
    }

    private static func tooLarge(_ bytesMax: Int) -> Problem {
        // Without reading the rest of it.
        Problem(.tooLarge, "expected at most \(FieldError.spaced(bytesMax)) bytes", headers: [.connection: "close"])
    }

    /// The body's media type, without its parameters, in lower case.
    var mediaType: String {
        let text = request.headers[.contentType] ?? ""
        // As nearly all write it, without looking closer.
        if text == "application/json" { return text }
        return text.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
    }
}

/// Every bound of the server, each with its reason.
enum HTTPLimits {
    /// A request's headers, in bytes: tokens, cookies and traces with room.
    static let headerBytesMax = 16 * 1024
    /// How many there may be.
    static let headersMax = 100
    /// A body of an action: a few thousand names of dead letters.
    static let actionBytesMax = 64 * 1024
    /// How long a body that is read as a whole may take.
    static let bodyTimeout: Duration = .seconds(20)
    /// A connection on which nothing comes for so long, while something is awaited, is closed.
    static let idleTimeout: Int64 = 60
    /// Questions that are asked of the stores at once; each has connections of its own.
    static let questionsMax = 8
    /// Questions that wait for their turn; more are refused.
    static let questionsWaitingMax = 64
    /// People that are logged in; the oldest gives way.
    static let sessionsMax = 1000
    /// Pages and programs that follow `/v1/events`.
    static let followersMax = 200
    /// How long what is under way may take when the server is stopped.
    static let drain: Duration = .seconds(20)
}
