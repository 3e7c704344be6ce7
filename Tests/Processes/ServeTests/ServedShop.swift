import Foundation
import FoundationNetworking
import PostgresClient
import PrivateServers
import RedisClient
import TestSupport
import Testing
import ThreadedIO

/// What a request was answered.
struct Answered {
    let status: Int
    let headers: [String: String]
    let body: String

    func header(_ name: String) -> String? { headers[name.lowercased()] }

    /// The body as one JSON object.
    func object() throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any], "\(body)")
    }

    /// The body as an object a line.
    func objects() throws -> [[String: Any]] {
        try body.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any], "\($0)")
        }
    }
}

/// A log, and `onewrite serve` before it.
final class ServedShop: Sendable {
    let servers: TestServers
    let directory: String
    let server: ChildProcess
    let port: Int
    private let session: URLSession

    static let program = BuiltExecutable.folder + "/onewrite-serve"

    private init(_ servers: TestServers, _ directory: String, _ server: ChildProcess, _ port: Int) {
        (self.servers, self.directory, self.server, self.port) = (servers, directory, server, port)
        let configuration = URLSessionConfiguration.ephemeral
        configuration.httpMaximumConnectionsPerHost = 64
        configuration.timeoutIntervalForRequest = 60
        session = URLSession(configuration: configuration)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// Makes a log, starts a server, runs the test, and ends the server.
    static func with(
        _ options: String..., on servers: TestServers? = nil, files: [String: String] = [:],
        _ body: (ServedShop) async throws -> Void
    ) async throws {
        if let servers { return try await run(servers, options, files, body) }
        try await withServers { try await run($0, options, files, body) }
    }

    private static func run(
        _ servers: TestServers, _ options: [String], _ files: [String: String],
        _ body: (ServedShop) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "ow-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for (name, text) in files { try text.write(toFile: "\(directory)/\(name)", atomically: true, encoding: .utf8) }
        _ = try await BuiltExecutable.run("init", "--partitions", "4", on: servers)
        let server = try await ChildProcess.spawn(
            // By the light program, which becomes the other.
            [BuiltExecutable.path, "serve", "--listen", "127.0.0.1:0"] + options, environment: servers.environment,
            in: directory, output: .discarded, errors: .appended(to: "\(directory)/serve.log"))
        func log() -> String {
            String(decoding: FileManager.default.contents(atPath: "\(directory)/serve.log") ?? Data(), as: UTF8.self)
        }
        try await eventually("it serves: \(log())") { log().contains(/serving https?:\S+:\d+\n/) }
        let port = log().firstMatch(of: /serving https?:\S+:(\d+)\n/).flatMap { Int($0.1) }
        let shop = ServedShop(servers, directory, server, try #require(port))
        do {
            try await body(shop)
            await server.kill()
        } catch {
            print(log().suffix(4000))
            await server.kill()
            throw error
        }
    }

    var log: String {
        String(decoding: FileManager.default.contents(atPath: "\(directory)/serve.log") ?? Data(), as: UTF8.self)
    }

    func run(_ arguments: String...) async throws -> Ran {
        Ran(
            try await ChildProcess.run(
                [BuiltExecutable.path] + arguments, environment: servers.environment, in: directory))
    }

    // MARK: - Asking

    func ask(
        _ method: String, _ path: String, _ body: String? = nil, headers: [String: String] = [:]
    ) async throws -> Answered {
        var request = URLRequest(url: try #require(URL(string: "http://127.0.0.1:\(port)\(path)")))
        request.httpMethod = method
        request.httpShouldHandleCookies = false
        if let body {
            request.httpBody = Data(body.utf8)
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await session.data(for: request)
        let http = try #require(response as? HTTPURLResponse)
        var found: [String: String] = [:]
        for (name, value) in http.allHeaderFields { found["\(name)".lowercased()] = "\(value)" }
        return Answered(status: http.statusCode, headers: found, body: String(decoding: data, as: UTF8.self))
    }

    func get(_ path: String, headers: [String: String] = [:]) async throws -> Answered {
        try await ask("GET", path, headers: headers)
    }

    func submit(_ body: String, query: String = "", headers: [String: String] = [:]) async throws -> Answered {
        try await ask("POST", "/v1/changes\(query)", body, headers: headers)
    }

    static func order(_ id: String, shop: String = "main", quantity: Int = 1) -> String {
        #"{"id":"\#(id)","shop":"\#(shop)","customer":"c","lines":[{"sku":"TEA","quantity":\#(quantity)}]}"#
    }

    // MARK: - What the stores hold

    func redis(_ words: String...) throws -> RedisReply {
        let redis = try RedisConnection(
            connectingTo: RedisConfiguration(url: servers.redis.url), until: .after(.seconds(10)), interrupt: nil)
        var command = RedisCommand(words[0])
        command.append(contentsOf: Array(words.dropFirst()))
        return try redis.call(command, until: .after(.seconds(10)))
    }

    func key(_ partition: Int, _ rest: String) -> String { "{\(servers.namespace):\(partition)}:\(rest)" }

    /// How often each change is in the log.
    func inLog() throws -> [String: Int] {
        var found: [String: Int] = [:]
        for partition in 0..<4 {
            for entry in try redis("XRANGE", key(partition, "log"), "-", "+").elements {
                let fields = entry[1].elements.map { $0.string ?? "" }
                guard let at = fields.firstIndex(of: "id"), at % 2 == 0 else { continue }
                found[fields[at + 1], default: 0] += 1
            }
        }
        return found
    }

    func rows(_ sql: String) throws -> [String] {
        var configuration = try PostgresConfiguration(url: servers.postgres.url)
        configuration.schema = servers.namespace
        let connection = try PostgresConnection(
            connectingTo: configuration, until: .after(.seconds(10)), interrupt: nil)
        return try connection.query(sql, until: .after(.seconds(10))).map { row in
            (0..<row.count).map { row.string($0) ?? "–" }.joined(separator: "|")
        }
    }
}

/// A connection on which a test sends whatever it likes.
final class RawConnection: Sendable {
    private let socket: Int32

    init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(connected == 0)
    }

    deinit { close(socket) }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Says that nothing more is sent.
    func endSending() { shutdown(socket, Int32(SHUT_WR)) }

    /// Reads until the text is there, the server closes, or the time is up.
    func read(until text: String? = nil, within seconds: Int = 5) -> String {
        let deadline = ContinuousClock.now + .seconds(seconds)
        var bytes: [UInt8] = []
        while ContinuousClock.now < deadline {
            if let text, String(decoding: bytes, as: UTF8.self).contains(text) { break }
            var poll = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, 100) > 0 else { continue }
            var chunk = [UInt8](repeating: 0, count: 65536)
            let count = recv(socket, &chunk, chunk.count, 0)
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
