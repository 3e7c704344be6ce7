import HTTPTypes
import Hummingbird
import NIOCore
import OrderLog
import Submission

/// Why a request gets no answer, as `application/problem+json`: <https://www.rfc-editor.org/rfc/rfc9457>.
struct Problem: Error {
    /// What programs tell problems apart by; never changes.
    enum Kind: String, CaseIterable {
        case badRequest = "bad-request"
        case unauthorized
        case forbidden
        case crossSite = "cross-site"
        case notFound = "not-found"
        case methodNotAllowed = "method-not-allowed"
        case notAcceptable = "not-acceptable"
        case timeout
        case outdatedPlan = "outdated-plan"
        case ambiguous
        case tooLarge = "too-large"
        case unsupportedMediaType = "unsupported-media-type"
        case tooMany = "too-many-requests"
        case bug = "internal"
        case unavailable

        var status: HTTPResponse.Status {
            switch self {
            case .badRequest: .badRequest
            case .unauthorized: .unauthorized
            case .forbidden, .crossSite: .forbidden
            case .notFound: .notFound
            case .methodNotAllowed: .methodNotAllowed
            case .notAcceptable: .notAcceptable
            case .timeout: .requestTimeout
            case .outdatedPlan, .ambiguous: .conflict
            case .tooLarge: .contentTooLarge
            case .unsupportedMediaType: .unsupportedMediaType
            case .tooMany: .tooManyRequests
            case .bug: .internalServerError
            case .unavailable: .serviceUnavailable
            }
        }

        var title: String {
            switch self {
            case .badRequest: "The request can't be understood"
            case .unauthorized: "Who asks is not known"
            case .forbidden: "The token doesn't let do this"
            case .crossSite: "Another site sent this"
            case .notFound: "There is no such thing"
            case .methodNotAllowed: "That can't be done here"
            case .notAcceptable: "No such format"
            case .timeout: "The request came too slowly"
            case .outdatedPlan: "The plan is outdated"
            case .ambiguous: "Several are meant by it"
            case .tooLarge: "The body is too large"
            case .unsupportedMediaType: "The body's type is not known here"
            case .tooMany: "Too many tries"
            case .bug: "A mistake of ours"
            case .unavailable: "Not now"
            }
        }
    }

    let kind: Kind
    /// For people: what happened, and what to do.
    let detail: String
    var headers: HTTPFields = [:]

    init(_ kind: Kind, _ detail: String, headers: HTTPFields = [:]) {
        self.kind = kind
        self.detail = detail
        self.headers = headers
    }

    var response: Response {
        var json = JSONLine()
        json.add("type", "urn:onewrite:problem:\(kind.rawValue)")
        json.add("title", kind.title)
        json.add("status", Int64(kind.status.code))
        json.add("detail", detail)
        var headers = headers
        headers[.contentType] = "application/problem+json"
        if kind == .unavailable, headers[.retryAfter] == nil { headers[.retryAfter] = "1" }
        return Response(
            status: kind.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: json.text)))
    }
}

extension Problem {
    static let tooManyFollow = Problem(
        .unavailable, "\(HTTPLimits.followersMax) follow already", headers: [.retryAfter: "10"])
}
