import HTTPTypes
import Hummingbird
import NIOCore

/// The dashboard's page and the document of OpenAPI: files in the program.
struct PageRoutes: Sendable {
    private struct File: Sendable {
        let type: String
        let body: ByteBuffer
        /// The document as such; what it loads is only read.
        var isPage = false
    }

    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        + "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

    private let files: [(path: String, file: File)]

    init() {
        files =
            [
                (
                    "/",
                    File(
                        type: "text/html; charset=utf-8", body: ByteBuffer(bytes: PackageResources.index_html),
                        isPage: true)
                ),
                (
                    "/openapi.json",
                    File(type: "application/json", body: ByteBuffer(bytes: PackageResources.openapi_json))
                ),
            ]
            + PageAssets.all.map { name, bytes in
                ("/assets/\(name)", File(type: PageAssets.type(of: name), body: ByteBuffer(bytes: bytes)))
            }
    }

    var routes: [Route] {
        files.map { path, file in
            Route(.get, path, nil) { call in
                try call.allowQuery()
                var headers: HTTPFields = [.contentType: file.type, .cacheControl: "no-cache"]
                if file.isPage {
                    headers[.contentSecurityPolicy] = Self.policy
                    headers[.referrerPolicy] = "no-referrer"
                    headers[.xFrameOptions] = "DENY"
                }
                return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: file.body))
            }
        }
    }
}
