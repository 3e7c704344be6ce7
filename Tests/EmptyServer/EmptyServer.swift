import HTTPTypes
import Hummingbird
import NIOCore

/// The yardstick of `scripts/bench-http`: reads a body, and answers as much as a receipt, with nothing in between.
@main
enum EmptyServer {
    private static let receipt =
        #"{"schema":"onewrite/submit/v1","id":"12345-678","outcome":"accepted","partition":5,"seq":12345,"entry":"1795968715472-0"}"#

    static func main() async throws {
        let router = Router()
        router.post("v1/changes") { request, _ in
            let body = try await request.body.collect(upTo: 256 * 1024)
            return Response(
                status: body.readableBytes > 0 ? .created : .badRequest, headers: [.contentType: "application/json"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: receipt)))
        }
        let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 8080
        let application = Application(
            router: router, configuration: ApplicationConfiguration(address: .hostname("127.0.0.1", port: port)))
        try await application.runService()
    }
}
