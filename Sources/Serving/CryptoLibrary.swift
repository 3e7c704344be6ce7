import CLibcrypto

/// OpenSSL.
package enum CryptoLibrary {
    /// The version of the libcrypto that is loaded, such as `3.0.20`.
    ///
    /// OpenSSL: <https://docs.openssl.org/3.0/man3/OpenSSL_version/>
    package static var version: String {
        // "OpenSSL 3.0.20 7 Apr 2026": the name, which other libraries of this interface have of their own, stays off.
        let words = String(cString: OpenSSL_version(OPENSSL_VERSION)).split(separator: " ")
        return words.count > 1 ? String(words[1]) : words.joined()
    }
}
