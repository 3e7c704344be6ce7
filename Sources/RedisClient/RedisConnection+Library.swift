import CHiredis

extension RedisConnection {
    /// The version of hiredis whose headers this was built with, such as `0.14.1`; the library that is loaded has the same
    /// major and minor number.
    package static var libraryVersion: String { "\(HIREDIS_MAJOR).\(HIREDIS_MINOR).\(HIREDIS_PATCH)" }
}
