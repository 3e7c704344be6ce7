import RedisClient
import Testing
import ThreadedIO

@Suite("A Redis connection")
struct ConnectionTests {
    @Test("opens over a unix socket and over TCP, and knows its number, and the server's name and version")
    func opens() throws {
        let server = try RedisServer()
        for configuration in [server.unix, server.tcp] {
            let connection = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
            #expect(try connection.call(RedisCommand("PING"), until: .soon).string == "PONG")
            #expect(try connection.call(RedisCommand("CLIENT", "ID"), until: .soon).integer == connection.clientID)
            let info = try connection.call(RedisCommand("INFO", "server"), until: .soon).requireString()
            #expect(info.contains("\(connection.serverName)_version:\(connection.serverVersion)\r\n"))
        }
    }

    @Test("shows its name to the server")
    func name() throws {
        let server = try RedisServer()
        var configuration = server.tcp
        configuration.clientName = "onewrite/lane-3"
        let connection = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
        #expect(try connection.call(RedisCommand("CLIENT", "GETNAME"), until: .soon).string == "onewrite/lane-3")
    }

    @Test("works in the database that was asked for")
    func database() throws {
        let server = try RedisServer()
        var configuration = server.unix
        configuration.database = 5
        let connection = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
        try connection.call(RedisCommand("SET", "tea", 1), until: .soon)
        let other = try server.connect()
        #expect(try other.call(RedisCommand("EXISTS", "tea"), until: .soon).integer == 0)
        try other.call(RedisCommand("SELECT", 5), until: .soon)
        #expect(try other.call(RedisCommand("EXISTS", "tea"), until: .soon).integer == 1)
    }

    @Test("cannot be opened to a database that isn't there")
    func noSuchDatabase() throws {
        let server = try RedisServer()
        var configuration = server.unix
        configuration.database = 99
        let error = try #require(throws: RedisError.self) {
            try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
        }
        guard case .sessionFailed(_, let reason, passes: false) = error else { throw error }
        #expect(reason == "SELECT was answered with: ERR DB index is out of range")
        #expect(!error.outcomeIsUnknown && !error.isRetriable)
    }

    @Test("is let in with the right password, as the default user or another")
    func password() throws {
        let server = try RedisServer(password: "s3cret pass")
        let connection = try server.connect()
        try connection.call(
            RedisCommand("ACL", "SETUSER", "shop", "on", ">tea time", "~*", "+@all"), until: .soon)
        var configuration = server.tcp
        configuration.username = "shop"
        configuration.password = "tea time"
        let other = try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
        #expect(try other.call(RedisCommand("ACL", "WHOAMI"), until: .soon).string == "shop")
    }

    @Test("is refused with a wrong password, and with none, and the message shows neither", arguments: ["wr0ng", nil])
    func wrongPassword(_ password: String?) throws {
        let server = try RedisServer(password: "s3cret")
        var configuration = server.unix
        configuration.password = password
        configuration.database = 3
        let error = try #require(throws: RedisError.self) {
            try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
        }
        guard case .authenticationFailed(let address, _) = error else { throw error }
        #expect(address == "unix:\(server.socketPath)/3")
        #expect(!error.isRetriable && !error.outcomeIsUnknown)
        #expect(!"\(error) \(configuration)".contains("wr0ng"))
    }

    @Test("is refused with a password by a server that has none")
    func needlessPassword() throws {
        let server = try RedisServer()
        var configuration = server.unix
        configuration.password = "s3cret"
        let error = try #require(throws: RedisError.self) {
            try RedisSession(connectingTo: configuration, until: .soon, interrupt: nil)
        }
        guard case .authenticationFailed = error else { throw error }
    }

    @Test("fails at once where nothing listens, and says why")
    func nothingListens() throws {
        let port = Int(try freePort())
        let expected: [(RedisConfiguration.Endpoint, String)] = [
            (.tcp(host: "127.0.0.1", port: port), "Connection refused"),
            (.unix(path: "/nonexistent/redis.sock"), "No such file or directory"),
        ]
        for (endpoint, reason) in expected {
            let error = try #require(throws: RedisError.self) {
                try RedisSession(connectingTo: RedisConfiguration(endpoint), until: .soon, interrupt: nil)
            }
            #expect(error == .connectionFailed(address: RedisConfiguration(endpoint).address, reason: reason))
            #expect(error.isRetriable && !error.outcomeIsUnknown)
        }
    }

    @Test("is told when the server has no room for another client")
    func noRoom() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        try connection.call(RedisCommand("CONFIG", "SET", "maxclients", 1), until: .soon)
        // Sometimes the server hangs up before the first write, sometimes after it.
        for _ in 0..<50 {
            let error = try #require(throws: RedisError.self) { try server.connect() }
            guard case .sessionFailed(_, let reason, passes: true) = error else { throw error }
            #expect(reason == "ERR max number of clients reached")
        }
    }

    @Test("is unusable once it is closed")
    func closes() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        let observer = try server.connect()
        connection.close()
        #expect(!connection.isUsable)
        let error = try #require(throws: RedisError.self) { try connection.call(RedisCommand("PING"), until: .soon) }
        guard case .connectionLost = error else { throw error }
        try waitUntil("the server has seen it go") {
            let list = try observer.call(RedisCommand("CLIENT", "LIST"), until: .soon).requireString()
            return !list.contains("id=\(connection.clientID) ")
        }
    }

    @Test("that the server kills is lost, and what was in flight may have happened")
    func killed() throws {
        let server = try RedisServer()
        let connection = try server.connect()
        let observer = try server.connect()
        try observer.call(RedisCommand("CLIENT", "KILL", "ID", connection.clientID), until: .soon)
        let error = try #require(throws: RedisError.self) {
            try connection.call(RedisCommand("INCR", "tea"), until: .soon)
        }
        guard case .connectionLost = error else { throw error }
        #expect(error.outcomeIsUnknown && error.isRetriable)
        #expect(!connection.isUsable)
    }
}
