import CLibcrypto

/// SHA-256, and what else tokens need of OpenSSL.
package enum TokenDigest {
    /// The hash of a text.
    ///
    /// - Parameter text: Anything.
    /// - Returns: SHA-256 in lower-case hexadecimal digits.
    package static func hex(_ text: String) -> String {
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        let bytes = Array(text.utf8)
        precondition(
            EVP_Digest(bytes, bytes.count, &digest, &length, EVP_sha256(), nil) == 1, "OpenSSL has no SHA-256")
        return digest.prefix(Int(length)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Compares in a time that doesn't tell where two texts of one length differ.
    package static func areEqual(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count else { return false }
        return CRYPTO_memcmp(left, right, left.count) == 0
    }

    /// 256 random bits that can stand in a header, a cookie and a shell.
    ///
    /// - Returns: 43 characters of the URL's alphabet of Base64.
    package static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        return String(
            decoding: (0..<43).map { _ in alphabet[Int.random(in: 0..<64, using: &generator)] }, as: UTF8.self)
    }
}
