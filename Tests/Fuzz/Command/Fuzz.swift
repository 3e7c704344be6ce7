import CFuzzDriver
import Foundation
import FuzzTargets

/// `fuzz TARGET [libFuzzer's arguments]`, started by scripts/fuzz; `fuzz` alone names all targets.
@main
enum Fuzz {
    // Before libFuzzer calls back; from then on nobody writes it.
    private nonisolated(unsafe) static var target: FuzzTarget?

    static func main() {
        let names = CommandLine.arguments.dropFirst()
        guard let name = names.first else { return print(FuzzTarget.all.map(\.name).joined(separator: "\n")) }
        target = FuzzTarget.all.first { $0.name == name }
        guard target != nil else { fail("there is no target \(name)", 64) }
        var words: [UnsafeMutablePointer<CChar>?] = ([name] + names.dropFirst()).map { strdup($0) } + [nil]
        let code = onewrite_fuzz(Int32(words.count - 1), &words) { bytes, count in
            do {
                try Fuzz.target?.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
            } catch {
                Fuzz.fail("\(error)", nil)
            }
            return 0
        }
        guard code >= 0 else { fail("this build has no libFuzzer: start scripts/fuzz", 69) }
        exit(code)
    }

    /// Ends the process: with a code, or as libFuzzer notices it.
    private static func fail(_ text: String, _ code: Int32?) -> Never {
        FileHandle.standardError.write(Data("fuzz: \(text)\n".utf8))
        guard let code else { abort() }
        exit(code)
    }
}
