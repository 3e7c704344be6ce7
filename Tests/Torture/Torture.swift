import ArgumentParser
import Foundation
import ThreadedIO

/// Runs whole systems under faults and checks them from outside.
@main
struct Torture: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "torture",
        abstract: "Run Onewrite under faults, and check from outside that nothing is lost, doubled or out of order.",
        subcommands: [
            SoakCommand.self, MatrixCommand.self, PowerCutsCommand.self, DualWriteCommand.self, TrimCurveCommand.self,
        ],
        defaultSubcommand: SoakCommand.self)

    static func main() async {
        // The clients write to sockets whose servers are killed all the time.
        ignoreBrokenPipes()
        await main(nil)
    }
}

/// What every mode takes.
struct TortureOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Repeats a run: the same workload, the same faults (default: made up).", valueName: "n"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("The executable under test (default: the one of this build).", valueName: "path"))
    var onewrite: String?

    @Option(help: ArgumentHelp("Where logs and data go when something is wrong.", valueName: "directory"))
    var evidence = "torture-evidence"

    /// The executable: this process's neighbour unless another is named, as it must be for a bug.
    func executable(with bug: String? = nil) throws -> String {
        if let onewrite { return URL(filePath: onewrite).path }
        guard bug == nil else {
            throw ValidationError(
                "--bug: this build makes no mistakes. Name one that does: scripts/mutants --build onewrite")
        }
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: own).deletingLastPathComponent().appending(path: "onewrite").path
    }
}

/// Writes a line at once, in one call.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
