import Connections
import Dashboard
import ThreadedIO

extension Servers {
    /// The servers that the settings name.
    init(_ settings: Settings, name: String) throws {
        self.init(try settings.configuration(), name: name)
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
