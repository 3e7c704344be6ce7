import CLibpq

extension PostgresConnection {
    /// The version of the libpq that is loaded, such as `15.18`.
    ///
    /// libpq: <https://www.postgresql.org/docs/15/libpq-misc.html#LIBPQ-PQLIBVERSION>
    package static var libraryVersion: String {
        let number = PQlibVersion()
        // Before 10 the first two parts were the major version.
        return number >= 100_000
            ? "\(number / 10_000).\(number % 10_000)" : "\(number / 10_000).\(number / 100 % 100).\(number % 100)"
    }
}
