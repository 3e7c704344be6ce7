import Foundation
package import PrivateServers
import Testing

/// What a command of the built executable did.
package struct Ran {
    /// Its exit status; nil when a signal ended it.
    package let code: Int32?
    package let output: String
    package let errors: String

    package init(_ completed: ChildProcess.Completed) {
        if case .exited(let code) = completed.status { self.code = code } else { code = nil }
        output = completed.output
        errors = completed.errors
    }

    /// Requires that it ended with 0.
    package func succeeded() throws -> Ran {
        try #require(code == 0, "\(errors)")
        return self
    }

    /// The output of a command that ended with 0, as one JSON object.
    package func object() throws -> [String: Any] {
        _ = try succeeded()
        return try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
    }

    /// The output as a JSON object a line, whatever the command ended with.
    package func objects() throws -> [[String: Any]] {
        try output.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any], "\(errors)")
        }
    }
}

/// A JSON object's values, by what they must be.
extension [String: Any] {
    package func objects(_ key: String) throws -> [[String: Any]] {
        try #require(self[key] as? [[String: Any]], "\(key)")
    }
    package func object(_ key: String) throws -> [String: Any] { try #require(self[key] as? [String: Any], "\(key)") }
    package func int(_ key: String) -> Int? { (self[key] as? NSNumber)?.intValue }
    package func text(_ key: String) -> String? { self[key] as? String }
    /// Whether the key is there, and null.
    package func isNull(_ key: String) -> Bool { self[key] is NSNull }
}
