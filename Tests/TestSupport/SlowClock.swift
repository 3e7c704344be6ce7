/// A wall clock that is behind, for one process: `CClockShim`, loaded before the C library.
///
/// ld.so(8), `LD_PRELOAD`: <https://man7.org/linux/man-pages/man8/ld.so.8.html>
package enum SlowClock {
    /// The environment of a process whose clock is behind.
    ///
    /// - Parameter seconds: How far.
    /// - Returns: What its environment differs in.
    package static func environment(behind seconds: Int) -> [String: String?] {
        ["LD_PRELOAD": BuiltExecutable.folder + "/libClockShim.so", "ONEWRITE_CLOCK_OFFSET": "-\(seconds)"]
    }
}
