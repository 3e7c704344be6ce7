/// SplitMix64: the same numbers from the same seed, on every machine.
///
/// <https://prng.di.unimi.it/splitmix64.c>
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    /// A number in `0 ..< bound`.
    package mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: next() >> 33) % bound
    }

    /// Whether something that happens in so many of a thousand cases happens.
    package mutating func chance(_ perMille: Int) -> Bool {
        below(1000) < perMille
    }
}
