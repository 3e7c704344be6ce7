/// Growing, jittered pauses between attempts: full jitter, so that workers which failed together don't return together.
///
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
package struct Backoff: Sendable {
    /// The longest pause unless set.
    package static let most: Duration = .seconds(5)

    private let first: Duration
    private let most: Duration
    private var attempts = 0

    /// - Parameters:
    ///   - first: The mean of the first pause is half of it.
    ///   - most: No pause is longer.
    package init(first: Duration = .milliseconds(50), most: Duration = Backoff.most) {
        self.first = first
        self.most = most
    }

    /// The next pause: at random between a tenth and the whole of `first · 2ⁿ`, at most `most`.
    package mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        let bound = min(most, first * (1 << min(attempts, 20)))
        attempts += 1
        return bound * Double.random(in: 0.1...1, using: &generator)
    }

    /// Starts anew after a success.
    package mutating func reset() {
        attempts = 0
    }
}
