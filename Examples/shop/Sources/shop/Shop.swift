import Foundation
import Hummingbird
import Logging
import Onewrite
import ShopServer

/// REDIS_URL and DATABASE_URL say where the log is, PORT where to listen (8080).
@main
struct Shop {
    static func main() async throws {
        let environment = ProcessInfo.processInfo.environment
        var log = try LogConfiguration(
            redis: environment["REDIS_URL"] ?? "redis://127.0.0.1:6379/0", postgres: environment["DATABASE_URL"] ?? "")
        // Longer waits nobody who looks at a browser; what has no outcome then is answered with 503.
        log.timeout = .seconds(5)
        let port = environment["PORT"].flatMap(Int.init) ?? 8080
        try await shopServer(
            log, address: .hostname("127.0.0.1", port: port), logger: Logger(label: "shop")
        ).runService()
    }
}
