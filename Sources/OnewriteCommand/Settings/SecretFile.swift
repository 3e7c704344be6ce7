import Foundation

/// A secret that a file holds, which the environment names: what systemd's `LoadCredential=` and Kubernetes's secrets
/// put there.
enum SecretFile {
    /// Reads it.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - variable: What named it.
    /// - Returns: What it holds, without blanks and line breaks at its ends; or why it is of no use.
    static func read(_ path: String, namedBy variable: String) -> Result<String, SettingsProblem> {
        func useless(_ why: String) -> Result<String, SettingsProblem> {
            .failure(
                SettingsProblem(
                    name: variable, source: "environment", "\(variable) in the environment: \(path) \(why)",
                    isRefused: true))
        }
        do {
            let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            return text.isEmpty ? useless("is empty") : .success(text)
        } catch CocoaError.fileReadNoSuchFile {
            return useless("is not there")
        } catch {
            return useless("can't be read")
        }
    }
}
