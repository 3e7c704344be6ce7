import Foundation
import Reports

extension Console {
    /// Prints a value as one line of JSON.
    ///
    /// - Parameters:
    ///   - value: An object.
    ///   - keys: How its keys are written.
    /// - Throws: `EncodingError`.
    static func printJSON(
        _ value: some Encodable, keys: JSONEncoder.KeyEncodingStrategy = .useDefaultKeys
    ) throws {
        print(try JSONText.line(of: value, keys: keys))
    }
}
