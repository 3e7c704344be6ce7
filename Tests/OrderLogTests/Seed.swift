import Glibc

/// A generator that a failed run can be repeated with: `ONEWRITE_TEST_SEED=n swift test`.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

enum ProcessSeed {
    /// Takes the seed from the environment or draws one, and prints it.
    static func take() -> UInt64 {
        let given = getenv("ONEWRITE_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
        let seed = given ?? .random(in: 0...UInt64.max)
        print("ONEWRITE_TEST_SEED=\(seed)")
        return seed
    }
}
