import HTTPService
import OnewriteCommand

/// The program `onewrite-serve`: `onewrite`, and what speaks HTTP.
@main
enum OnewriteServeProgram {
    static func main() async {
        await ServeCommand.$service.withValue({ try await HTTPService($0, logger: $1).run() }) {
            await RootCommand.main()
        }
    }
}
