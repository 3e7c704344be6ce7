import ArgumentParser
import Connections
import Foundation
import OrderLog
import RedisClient
import RedisLog
import Serving
import ThreadedIO

/// `onewrite grants`.
struct GrantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grants",
        abstract: "Print the rights that a role needs in Redis or Postgres, and no others.",
        discussion: """
            Examples:
              onewrite grants redis --role submit --password-file pw | redis-cli
              onewrite grants postgres --role worker:postgres | psql "$ADMIN_URL"

            Roles: submit appends and waits; worker:GROUP serves a group, worker all of them; read sees everything; operate \
            mends, too; admin makes and upgrades the log. Nothing is asked of a server, and nothing changed there.
            """,
        subcommands: [GrantsRedisCommand.self, GrantsPostgresCommand.self])
}

/// Whose rights.
struct RoleOptions: ParsableArguments {
    @Option(
        name: .customLong("role"),
        help: ArgumentHelp(
            "submit, worker:GROUP, worker, read, operate or admin; repeats.", valueName: "role"),
        completion: .list(["submit", "worker:", "worker", "read", "operate", "admin"]))
    var names: [String] = []

    @Option(
        help: ArgumentHelp(
            "The name, for one user with the rights of all roles (default: a user each).", valueName: "name"))
    var user: String?

    @Option(
        help: ArgumentHelp(
            "What the groups lead to that are not built in, or to no built-in store any more: own, postgres, webhook, kafka or "
                + "redis-script.", valueName: "kind"),
        completion: .list(["own", "postgres", "webhook", "kafka", "redis-script"]))
    var kind: String?

    /// A user, and its roles.
    struct User {
        let name: String
        let roles: [StoreRole]
    }

    func validate() throws {
        _ = try roles()
        if let user, user.isEmpty || !user.utf8.allSatisfy(Alphabet.identifier.contains) || user.utf8.count > 63 {
            throw ValidationError(
                "--user: expected 1 to 63 of A-Z a-z 0-9 . _ : / -, got \(FieldError.quote(user))")
        }
    }

    private func roles() throws -> [StoreRole] {
        if names.isEmpty { throw ValidationError("--role: say which, such as --role submit") }
        return try names.map(role)
    }

    private func role(_ name: String) throws -> StoreRole {
        let simple: [StoreRole] = [.submit, .workers, .read, .operate, .admin]
        if let role = simple.first(where: { $0.description == name }) { return role }
        guard name.hasPrefix("worker:"), let group = Group(String(name.dropFirst("worker:".count))) else {
            throw ValidationError(
                "--role: expected submit, worker:GROUP, worker, read, operate or admin, got \(FieldError.quote(name))")
        }
        guard let sink = StoreRole.Sink(of: group, kind: kind) else {
            throw ValidationError(
                "--kind: say what group \(group) leads to: own, postgres, webhook, kafka or redis-script (see: onewrite group list)"
            )
        }
        return .worker(group, sink)
    }

    /// Each user once.
    ///
    /// - Parameter prefix: What made-up names begin with.
    /// - Returns: One with all roles where a name was given; else one for each role.
    /// - Throws: ``Failure`` for a name that is too long.
    func users(_ prefix: String) throws -> [User] {
        let roles = try roles()
        if let user { return [User(name: user, roles: roles)] }
        return try roles.map { role in
            let name = "\(prefix)-\(role.suffix)"
            guard name.utf8.count <= 63 else {
                throw Failure(.usage, "\(name) is longer than 63 bytes: give it another name with --user")
            }
            return User(name: name, roles: [role])
        }
    }
}

/// `onewrite grants redis`.
struct GrantsRedisCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redis", abstract: "Print ACL SETUSER commands, or lines of an ACL file.",
        discussion: """
            Examples:
              onewrite grants redis --role worker:stock --password-file pw | redis-cli
              onewrite grants redis --role submit --role read --aclfile > users.acl

            A user gets these rights and loses all others; connections stay. A password's SHA-256 is printed, never the password; \
            two files give two passwords, for the time of a change. Without one, put a hash in the place of SHA-256. The ACL \
            file turns the user default off.
            """)

    @OptionGroup var roles: RoleOptions

    @Option(
        name: .customLong("password-file"),
        help: ArgumentHelp("A file with the user's password, in a line; repeats.", valueName: "file"),
        completion: .file())
    var passwordFiles: [String] = []

    @Flag(help: "Print lines of an ACL file; the user default is off there.")
    var aclfile = false

    @Option(
        help: ArgumentHelp(
            "The server's version; from 7.2 on, and in Valkey, WAITAOF is granted.", valueName: "version"))
    var server = "7.0"

    @Flag(
        help: """
            Let it read the server's settings, which --durability fsync needs before 7.2, and doctor likes to. They show \
            requirepass and masterauth.
            """)
    var settings = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard version != nil else { throw ValidationError("--server: expected a version such as 7.2") }
        if !passwordFiles.isEmpty, roles.user == nil, roles.names.count > 1 {
            throw ValidationError("--password-file: for one user only; name one role, or a --user")
        }
    }

    private var version: (Int, Int)? {
        let parts = server.split(separator: ".").map { Int($0) }
        guard let major = parts.first ?? nil, major >= 7, !parts.contains(nil) else { return nil }
        return (major, parts.count > 1 ? parts[1] ?? 0 : 0)
    }

    func run() async throws {
        let values = try common.settings()
        let keys = try values.keys()
        let place = try values.redis(clientName: "")
        let options = RedisRightsOptions(
            hasWaitAOF: version.map { $0 >= (7, 2) } ?? false, readsSettings: settings,
            selectsDatabase: place.database != 0, isCluster: place.isCluster)
        var passwords = try passwordFiles.map { "#" + TokenDigest.hex(try Self.password(in: $0)) }
        let isOpen = passwords.isEmpty
        // No hash at all: a server refuses it, so nobody's user is left without a password by mistake.
        if isOpen { passwords = ["#SHA-256"] }
        for user in try roles.users(keys.namespace) {
            let rights = user.roles.reduce(RedisRights()) { $0 + RedisRights($1, keys, options) }
            let rules = "\(user.name) reset on \(passwords.joined(separator: " ")) \(rights.rules)"
            Console.print(aclfile ? "user \(rules)" : "ACL SETUSER \(rules)")
        }
        if aclfile { Console.print("user default off") }
        if isOpen {
            Console.error(
                "put the password's hash in the place of SHA-256, or name a --password-file: sha256sum prints it")
        }
        if !aclfile {
            Console.error(
                "when every program has a user of its own: ACL SETUSER default off; to keep them: ACL SAVE, or CONFIG REWRITE"
            )
        }
    }

    private static func password(in path: String) throws -> String {
        do {
            return try SecretFile.read(path)
        } catch {
            throw Failure(.noInput, "--password-file: \(error)")
        }
    }
}

/// `onewrite grants postgres`.
struct GrantsPostgresCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "postgres", abstract: "Print SQL that makes a role and gives it these rights.",
        discussion: """
            Examples:
              onewrite grants postgres --role submit --role read | psql "$ADMIN_URL"
              onewrite grants postgres --role submit --no-login | psql "$ADMIN_URL"

            For a superuser, or the schema's owner who may make roles; safe to run again, as after an upgrade. The role admin \
            comes first, then onewrite init, then the others. No password is set: \\password in psql does that, and sends \
            no clear text.
            """)

    @OptionGroup var roles: RoleOptions

    @Flag(name: .customLong("no-login"), help: "Make a set of rights that other roles are members of.")
    var isSet = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let schema = try common.settings().schema()
        var named: [String] = []
        for user in try roles.users(schema) {
            let rights = user.roles.dropFirst().reduce(PostgresRights(user.roles[0])) { $0 + PostgresRights($1) }
            Console.print("-- \(user.name): \(user.roles.map(\.description).joined(separator: ", "))")
            if rights.isEmpty { Console.print("-- nothing is needed in Postgres") }
            for line in rights.statements(for: user.name, in: schema, logsIn: !isSet) { Console.print(line) }
            if !isSet, !rights.isEmpty { named.append(user.name) }
        }
        for name in named { Console.error("to give it a password: psql -c '\\password \(name)'") }
    }
}
