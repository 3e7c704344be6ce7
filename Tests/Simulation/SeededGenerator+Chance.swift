package import Harness

extension SeededGenerator {
    /// A number in `0 ..< bound`.
    package mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: next() >> 33) % bound
    }

    /// Whether something that happens in so many of a thousand cases happens.
    package mutating func chance(_ perMille: Int) -> Bool {
        below(1000) < perMille
    }
}
