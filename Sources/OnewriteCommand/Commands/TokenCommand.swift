import ArgumentParser
import Foundation
import OrderLog
import Serving

/// `onewrite token`.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Tokens that let programs and people in over HTTP.",
        discussion: """
            A file holds their names, roles and hashes; the token itself is printed once. A running serve takes a changed file \
            within a second.

            Examples:
              onewrite token add shop --role submit --file tokens.json
              onewrite token list --file tokens.json
              onewrite token remove shop --file tokens.json
            """,
        subcommands: [Add.self, List.self, Remove.self])

    struct FileOption: ParsableArguments {
        @Option(
            name: .customLong("file"),
            help: ArgumentHelp("The file of tokens, as serve --tokens takes it.", valueName: "file"),
            completion: .file(extensions: ["json"]))
        var path: String

        func read(isOptional: Bool = false) throws -> TokenFile {
            do throws(TokenFile.Trouble) {
                return try TokenFile(path: path, isOptional: isOptional)
            } catch {
                throw Failure(.noInput, error.description)
            }
        }

        func write(_ tokens: TokenFile) throws {
            do throws(TokenFile.Trouble) {
                try tokens.write(to: path)
            } catch {
                throw Failure(.noInput, error.description)
            }
        }
    }

    /// `onewrite token add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token, print it once, and write down its hash.",
            discussion: """
                Example:
                  onewrite token add alice --role operate --file tokens.json

                Roles: submit appends changes; read sees everything, dead letters with their contents too; operate does both, \
                and retries and drops dead letters. The file is made when there is none.
                """)

        @Argument(help: "Whose it is: recorded with what is done with it.")
        var name: String

        @Option(help: "What it lets do: \(Role.allCases.map(\.rawValue).joined(separator: ", ")).")
        var role: Role

        @OptionGroup var file: FileOption

        func validate() throws {
            guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy(Alphabet.identifier.contains) else {
                throw ValidationError("NAME: expected 1 to 64 of A-Z a-z 0-9 . _ : / -, got \(FieldError.quote(name))")
            }
        }

        func run() async throws {
            var tokens = try file.read(isOptional: true)
            guard tokens.entries.count < TokenFile.countMax else {
                throw Failure(.no, "\(file.path) has \(TokenFile.countMax) tokens already")
            }
            guard let token = tokens.add(name: name, role: role, created: Date().formatted(.iso8601)) else {
                throw Failure(.no, "there is a token \(name) already. Remove it first, or choose another name")
            }
            try file.write(tokens)
            Console.print(token)
            Console.error(
                "token of \(name), who may \(role.rawValue): it is shown this once, and only its hash is kept")
        }
    }

    /// `onewrite token list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Names and roles of the tokens in a file.",
            discussion: """
                Example:
                  onewrite token list --file tokens.json
                """)

        @OptionGroup var file: FileOption

        func run() async throws {
            let tokens = try file.read()
            for entry in tokens.entries { Console.print("\(entry.role.rawValue)  \(entry.name)  \(entry.created)") }
            if tokens.entries.isEmpty { Console.error("there are no tokens") }
        }
    }

    /// `onewrite token remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a token back: it lets nobody in any more.",
            discussion: """
                Example:
                  onewrite token remove alice --file tokens.json
                """)

        @Argument(help: "Whose it is.")
        var name: String

        @OptionGroup var file: FileOption

        func run() async throws {
            var tokens = try file.read()
            guard tokens.remove(name: name) else { throw Failure(.no, "there is no token \(FieldError.quote(name))") }
            try file.write(tokens)
            Console.print("removed \(name)")
        }
    }
}

extension Role: ExpressibleByArgument {}
