/// A Lua script for the server.
package struct RedisScript: Sendable {
    /// What messages call it.
    package let name: String
    /// The Lua source.
    package let source: String

    package init(name: String, source: String) {
        self.name = name
        self.source = source
    }
}
