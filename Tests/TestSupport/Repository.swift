package import Foundation

/// The checkout that the tests were built from.
package enum Repository {
    /// Its top level.
    package static let root = (0..<3).reduce(URL(filePath: #filePath)) { url, _ in url.deletingLastPathComponent() }
}
