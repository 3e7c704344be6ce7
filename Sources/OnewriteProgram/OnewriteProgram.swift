import OnewriteCommand

/// The program `onewrite`: every command but what speaks HTTP, for which it starts `onewrite-serve`.
@main
enum OnewriteProgram {
    static func main() async {
        await RootCommand.main()
    }
}
