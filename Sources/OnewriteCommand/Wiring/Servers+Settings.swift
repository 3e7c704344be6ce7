import Connections
import Dashboard
import OrderLog
import RedisLog
import ThreadedIO

extension Servers {
    /// The servers that the settings name.
    init(_ settings: Settings, name: String) throws {
        self.init(try settings.configuration(), name: name)
    }

    /// Refuses groups that the log doesn't have; nobody is asked about the built-in ones.
    func require(_ groups: [Group]) async throws {
        guard let group = groups.first(where: { !Group.builtIn.contains($0) }) else { return }
        let known = try await CommandLane().run { _ in
            var patience = Patience()
            return try patience.attempt { try self.redis().groups(self.keys) }
        }
        guard !Set(groups).isSubset(of: known) else { return }
        throw Failure(
            .usage,
            "no group \(FieldError.quote((groups.first { !known.contains($0) } ?? group).name)); there are "
                + known.map(\.name).joined(separator: ", "))
    }
}

extension Settings {
    /// Says which stores a plan, or what can't be taken back, is about.
    func sayWhere() throws { Console.error("on \(try environment().text)") }
}

extension Patience {
    /// Tells people on standard error what is waited for.
    init(_ limit: Duration = Self.ofLooking, for awaited: Awaited = .busyServers, interrupt: Interrupt? = nil) {
        self.init(limit, for: awaited, interrupt: interrupt, notice: Console.error)
    }
}
