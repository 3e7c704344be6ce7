import ArgumentParser
import Foundation
import PrivateServers
import Testing
import TestSupport

@testable import OnewriteCommand

@Suite("the command line")
struct CommandLineTests {
    @Test(
        "a mistyped option is named with the right one, and taken for nothing else",
        arguments: [
            ("submit -shop main", "--shop"), ("submit --shp main", "--shop"), ("submit -json", "--json"),
            ("submit --shop main --custmer c-1", "--customer"), ("submit orders.csv --reject bad", "--rejects"),
            ("submit –-json", "--json"), ("submit —json", "--json"), ("submit −json", "--json"),
            ("submit json", "--json"), ("cancel ord-1 --shp main", "--shop"), ("order –-shop", "--shop"),
            ("dead show —json", "--json"), ("worker -group stock", "--group"), ("status --jsno", "--json"),
            ("dead drop 1:2 --resaon x", "--reason"),
        ])
    func option(arguments: String, meant: String) async throws {
        try await withServers { servers in
            let ran = try await runAlone(arguments.split(separator: " ").map(String.init), servers)
            #expect(ran.code == 64 && ran.output.isEmpty)
            #expect(ran.errors.contains("Did you mean \(meant)?"), "\(ran.errors)")
        }
    }

    @Test("behind -- a file may be named like an option, and a number is a value")
    func noOption() async throws {
        try await withServers { servers in
            for arguments in [["submit", "--", "-json"], ["submit", "–"], ["submit", "orders–2026.csv"]] {
                let ran = try await runAlone(arguments, servers)
                #expect(ran.code == 66 && ran.errors.contains("No such file"), "\(ran.errors)")
            }
            let ran = try await runAlone(["pending", "--limit", "-5"], servers)
            #expect(ran.code == 64 && ran.errors.contains("limit"), "\(ran.errors)")
        }
    }

    @Test(
        "a mistyped command is named with the right one",
        arguments: [("statsu", "status"), ("dead lst", "dead list"), ("stock shw", "stock show")])
    func command(arguments: String, meant: String) async throws {
        try await withServers { servers in
            let ran = try await runAlone(arguments.split(separator: " ").map(String.init), servers)
            #expect(ran.code == 64 && ran.errors.contains("Did you mean \(meant)?"), "\(ran.errors)")
        }
    }

    // MARK: - Help

    @Test("in 80 columns each example of each command's help is one line, and a command that there is")
    func examples() async throws {
        try await withServers { servers in
            var count = 0
            for (path, command) in Self.commands(of: RootCommand.self) {
                let examples = Self.examples(in: command.configuration.discussion)
                #expect(!examples.isEmpty, "\(path) has no example")
                #expect(!command.configuration.discussion.contains("Example: "), "\(path)")
                let help = try await runAlone(path + ["--help"], servers, ["COLUMNS": "80"]).succeeded().output
                let lines = help.split(separator: "\n")
                for example in examples {
                    #expect(lines.contains { $0 == "  \(example)" }, "\(example) is wrapped")
                    guard let arguments = try await Self.arguments(of: example) else { continue }
                    #expect(throws: Never.self, "\(example)") { try RootCommand.parseAsRoot(arguments) }
                    count += 1
                }
            }
            #expect(count > 20)
        }
    }

    /// All commands that help shows, with their words.
    private static func commands(
        of command: any ParsableCommand.Type, path: [String] = []
    ) -> [(path: [String], command: any ParsableCommand.Type)] {
        [(path, command)]
            + command.configuration.subcommands.filter { $0.configuration.shouldDisplay }.flatMap {
                commands(of: $0, path: path + [$0._commandName])
            }
    }

    /// The lines behind one that begins with `Example`, up to an empty one.
    private static func examples(in discussion: String) -> [String] {
        var examples: [String] = []
        var isExample = false
        for line in discussion.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("Example") {
                isExample = true
            } else if line.isEmpty {
                isExample = false
            } else if isExample {
                examples.append(String(line.drop { $0 == " " }))
            }
        }
        return examples
    }

    /// What a shell gives the command; nil for an example of a script.
    private static func arguments(of example: String) async throws -> [String]? {
        guard example.contains("onewrite ") else { return nil }
        // Past pipes and files; and no program is run on the servers that happen to be here.
        let shell = """
            exec 3>&1
            onewrite() { printf '%s\\n' "$@" >&3; }
            jq() { cat; }; generate() { :; }; redis-cli() { cat; }; psql() { cat; }

            """
        let directory = try await PrivateDirectory()
        let ran = try await ChildProcess.run(["bash", "-c", shell + example + "\nwait"], in: directory.path)
        await directory.remove()
        let words = try Ran(ran).succeeded().output
        return words.split(separator: "\n").map(String.init)
    }

    // MARK: - Completions

    @Test("completions are made for each shell, offer files and groups, and the help says how")
    func completions() async throws {
        try await withServers { servers in
            for (shell, files) in [("bash", "_files"), ("zsh", "_files"), ("fish", "-rF")] {
                let ran = try await runAlone(["--generate-completion-script", shell], servers)
                #expect(ran.code == 0 && ran.output.contains("pending") && ran.output.contains("dashboard"))
                #expect(ran.output.contains(files) || shell == "bash", "\(shell)")
                #expect(ran.output.contains("added-by-hand"), "\(shell)")
            }
            #expect(try await runAlone(["--help"], servers).output.contains("--generate-completion-script"))
        }
    }

    @Test(
        "bash completes files, groups, reasons and levels",
        arguments: [
            ("submit ord", "orders.csv"), ("submit --rejects ord", "orders.csv"),
            ("status --config onew", "onewrite.json"),
            ("worker --group st", "stock"), ("dead list --reason inv", "invalid"), ("dead li", "list"),
            ("submit orders.csv --durability fs", "fsync"),
        ])
    func bash(typed: String, completed: String) async throws {
        let directory = try await PrivateDirectory()
        do {
            for name in ["orders.csv", "onewrite.json"] {
                try Data().write(to: URL(filePath: "\(directory.path)/\(name)"))
            }
            let shell = """
                source <("\(BuiltExecutable.path)" --generate-completion-script bash) || exit
                COMP_WORDS=(onewrite \(typed)); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
                _onewrite onewrite "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
                printf '%s\\n' "${COMPREPLY[@]}"
                """
            let ran = try await Ran(ChildProcess.run(["bash", "-c", shell], in: directory.path)).succeeded()
            #expect(ran.output.split(separator: "\n").map(String.init) == [completed], "\(ran.errors)")
        }
        await directory.remove()
    }
}
