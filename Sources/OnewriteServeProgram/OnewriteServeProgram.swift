import HTTPService
import OnewriteCommand
import Synchronization

/// The program `onewrite-serve`: `onewrite`, and what speaks HTTP.
@main
enum OnewriteServeProgram {
    static func main() async {
        ServeCommand.http.withLock {
            $0 = ServeCommand.HTTP(
                serve: { try await HTTPService($0, logger: $1).run() },
                meter: { plan, logger in
                    let service = MetricsService(plan, logger: logger)
                    return { try await service.run() }
                })
        }
        await RootCommand.main()
    }
}
