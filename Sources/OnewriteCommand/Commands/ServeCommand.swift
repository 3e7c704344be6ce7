package import ArgumentParser
import Foundation
package import Logging
import OrderLog
package import Serving
package import Synchronization

/// `onewrite serve`.
package struct ServeCommand: AsyncParsableCommand, ShowsItsOwnProgress {
    /// What speaks HTTP.
    package struct HTTP: Sendable {
        /// Serves.
        let serve: @Sendable (ServePlan, Logger) async throws -> Void
        /// Makes what tells a worker's metrics, before the worker is made; what it returns tells them.
        let meter: @Sendable (MetricsPlan, Logger) -> @Sendable () async throws -> Void

        package init(
            serve: @escaping @Sendable (ServePlan, Logger) async throws -> Void,
            meter: @escaping @Sendable (MetricsPlan, Logger) -> @Sendable () async throws -> Void
        ) {
            (self.serve, self.meter) = (serve, meter)
        }
    }

    /// Set by the program that can; commands are made by the argument parser, which hands them nothing.
    package static let http = Mutex<HTTP?>(nil)

    package static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "HTTP: applications submit and ask, people look at a page, machines read metrics.",
        discussion: """
            Examples: on this machine, and for others.
              onewrite serve
              onewrite serve --workers --listen 127.0.0.1:9090
              onewrite serve --listen 0.0.0.0:8080 --tokens tokens.json

            On a loopback address nobody needs a token, unless --tokens is given. Any other address needs --tokens, or \
            --insecure: whoever reaches it may then submit, read and act. SIGTERM or Ctrl-C takes no new requests, and answers \
            those that are under way. What can be asked: docs/http.md, and /openapi.json of the server.
            """)

    @Option(help: ArgumentHelp("Where to listen; [::1]:8080 for IPv6.", valueName: "host:port"))
    var listen = "127.0.0.1:8080"

    @Option(
        help: ArgumentHelp("A file of tokens, made by onewrite token.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var tokens: String?

    @Flag(help: "Let in whoever reaches the address, without a token.")
    var insecure = false

    @Flag(help: "Also serve all groups, as onewrite worker does.")
    var workers = false

    @Option(
        help: ArgumentHelp("A certificate (and its chain) in PEM: HTTPS.", valueName: "file"), completion: .file())
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("Its key in PEM.", valueName: "file"), completion: .file())
    var tlsKey: String?

    @Flag(help: "Believe X-Forwarded-For: a proxy of yours is all that can connect.")
    var trustProxy = false

    @Option(help: ArgumentHelp("The most connections at once; others wait.", valueName: "N"))
    var connections = 1024

    @Flag(help: "Metrics of each partition too.")
    var partitionMetrics = false

    @Flag(help: "Say each request on standard error: who, what, how it was answered; no headers, no queries.")
    var accessLog = false

    @OptionGroup var log: LogOptions
    @OptionGroup var common: CommonOptions

    package init() {}

    package func validate() throws {
        _ = try Self.address(listen, of: "--listen")
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw ValidationError("--tls-certificate and --tls-key go together")
        }
        guard (1...100_000).contains(connections) else {
            throw ValidationError("--connections: expected 1 to 100 000, got \(connections)")
        }
        if insecure, tokens != nil { throw ValidationError("--insecure and --tokens contradict each other") }
    }

    package func run() async throws {
        let settings = try common.settings()
        let (host, port) = try Self.address(listen, of: "--listen")
        guard ServePlan.isLoopback(host) || tokens != nil || insecure else {
            throw Failure(
                .badConfiguration,
                "\(host) can be reached by others, and no tokens are set. Give --tokens FILE (onewrite token add), or "
                    + "--insecure to let everyone in")
        }
        let plan = ServePlan(
            host: host, port: port, log: try settings.configuration(), environment: try settings.environment(),
            tokens: tokens, certificate: tlsCertificate.flatMap { file in tlsKey.map { (file, $0) } },
            trustsProxy: trustProxy, connectionsMax: connections, servesGroups: workers,
            metersPartitions: partitionMetrics, logsRequests: accessLog, version: ProgramVersion.number)
        guard let http = Self.http.withLock({ $0 }) else { throw Self.startSibling() }
        if insecure, !ServePlan.isLoopback(host) {
            Console.error("warning: \(listen) lets in whoever reaches it, without a token (--insecure)")
        }
        try await http.serve(plan, log.logger("serve"))
    }

    /// Parts `host:port`.
    static func address(_ text: String, of option: String) throws -> (host: String, port: Int) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else {
            throw ValidationError(
                "\(option): expected host:port, such as 127.0.0.1:8080, got \(FieldError.quote(text))")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else {
            throw ValidationError("\(option): which host? 127.0.0.1:\(port) for this machine, 0.0.0.0:\(port) for all")
        }
        return (host, port)
    }

    /// Becomes the program that speaks HTTP, which lies beside this one; returns only what went wrong.
    static func startSibling() -> Failure {
        let name = "onewrite-serve"
        guard let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            return Failure(.bug, "/proc/self/exe can't be read")
        }
        let sibling = URL(filePath: own).deletingLastPathComponent().appending(path: name).path
        var arguments = ([sibling] + CommandLine.arguments.dropFirst()).map { strdup($0) }
        arguments.append(nil)
        execv(sibling, arguments)
        return Failure(
            .noInput,
            "\(sibling) can't be started: \(String(cString: strerror(errno))). Build it: swift build --product \(name)")
    }
}
