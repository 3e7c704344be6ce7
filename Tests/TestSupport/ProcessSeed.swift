import Glibc

/// What a failed run can be repeated with: `ONEWRITE_TEST_SEED=n swift test`.
package enum ProcessSeed {
    /// Takes the seed from the environment or draws one, and prints it.
    package static func take() -> UInt64 {
        let given = getenv("ONEWRITE_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
        let seed = given ?? .random(in: 0...UInt64.max)
        print("ONEWRITE_TEST_SEED=\(seed)")
        return seed
    }
}
