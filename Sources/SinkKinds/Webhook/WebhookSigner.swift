import CLibcrypto
import Foundation

/// Signs requests as Standard Webhooks says: HMAC-SHA256 of `id.timestamp.body`.
///
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
struct WebhookSigner: Sendable {
    private let key: [UInt8]

    /// Takes a secret.
    ///
    /// - Parameter secret: `whsec_` and the Base64 of 24 to 64 bytes; nil for anything else.
    init?(secret: String) {
        let prefix = "whsec_"
        guard secret.hasPrefix(prefix), let data = Data(base64Encoded: String(secret.dropFirst(prefix.count))),
            (24...64).contains(data.count)
        else { return nil }
        key = Array(data)
    }

    /// The value of the header `webhook-signature`.
    ///
    /// - Parameters:
    ///   - id: The header `webhook-id`.
    ///   - timestamp: The header `webhook-timestamp`: seconds since 1970.
    ///   - body: The body as it is sent.
    /// - Returns: `v1,` and the Base64 of the signature.
    func signature(id: String, timestamp: Int, body: String) -> String {
        let text = Array("\(id).\(timestamp).\(body)".utf8)
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        HMAC(EVP_sha256(), key, Int32(key.count), text, text.count, &digest, &length)
        return "v1," + Data(digest.prefix(Int(length))).base64EncodedString()
    }
}
