import Foundation
import FoundationNetworking

/// Sends requests to a shop on this machine.
struct Client: Sendable {
    struct Answer: Sendable {
        let status: Int
        let text: String
        fileprivate let headers: [String: String]

        func header(_ name: String) -> String? { headers[name.lowercased()] }

        func json() throws -> [String: Any] {
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
        }
    }

    private let port: Int
    private let session: URLSession

    init(port: Int) {
        self.port = port
        // Many at once wait for each other.
        let configuration = URLSessionConfiguration.ephemeral
        configuration.timeoutIntervalForRequest = 300
        session = URLSession(configuration: configuration)
    }

    func send(
        _ method: String, _ path: String, headers: [String: String] = [:], body: String? = nil
    ) async throws -> Answer {
        guard let url = URL(string: "http://127.0.0.1:\(port)\(path)") else { throw URLError(.badURL) }
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.httpBody = body.map { Data($0.utf8) }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await session.data(for: request)
        guard let response = response as? HTTPURLResponse else { throw URLError(.badServerResponse) }
        var fields: [String: String] = [:]
        for (name, value) in response.allHeaderFields {
            fields["\(name)".lowercased()] = "\(value)"
        }
        return Answer(status: response.statusCode, text: String(decoding: data, as: UTF8.self), headers: fields)
    }

    /// Orders tea.
    func place(_ key: String?, tea: Int, headers: [String: String] = [:]) async throws -> Answer {
        var headers = headers
        headers["Content-Type"] = "application/json"
        headers["Idempotency-Key"] = key
        let body = #"{"customer":"c-17","lines":[{"sku":"TEA-250","quantity":\#(tea)}]}"#
        return try await send("POST", "/shops/main/orders", headers: headers, body: body)
    }
}
