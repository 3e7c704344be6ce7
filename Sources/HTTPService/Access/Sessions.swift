import Serving
import Synchronization

/// People that are logged in with a browser; forgotten when the server ends.
final class Sessions: Sendable {
    private struct Session {
        /// The hash of the token that they logged in with.
        let token: String
        let until: ContinuousClock.Instant
    }

    static let lifetime: Duration = .seconds(12 * 3600)

    /// By the hash of the cookie.
    private let sessions = Mutex<[String: Session]>([:])

    /// Begins a session.
    ///
    /// - Parameter token: The hash of the token.
    /// - Returns: The cookie.
    func begin(token: String) -> String {
        let cookie = TokenDigest.random()
        sessions.withLock { sessions in
            let now = ContinuousClock.now
            sessions = sessions.filter { $0.value.until > now }
            if sessions.count >= HTTPLimits.sessionsMax,
                let oldest = sessions.min(by: { $0.value.until < $1.value.until })
            {
                sessions[oldest.key] = nil
            }
            sessions[TokenDigest.hex(cookie)] = Session(token: token, until: now + Self.lifetime)
        }
        return cookie
    }

    /// The hash of the token that a session began with; nil when there is none.
    func token(of cookie: String) -> String? {
        let hash = TokenDigest.hex(cookie)
        return sessions.withLock { sessions in
            guard let session = sessions[hash], session.until > .now else { return nil }
            return session.token
        }
    }

    func end(_ cookie: String) {
        let hash = TokenDigest.hex(cookie)
        sessions.withLock { $0[hash] = nil }
    }
}

/// Lets few wrong tokens be tried.
final class LoginThrottle: Sendable {
    private static let triesMax = 5
    private static let pause: Duration = .seconds(30)
    private static let addressesMax = 10_000

    private struct Tries {
        var count = 0
        var last: ContinuousClock.Instant
    }

    private let tries = Mutex<[String: Tries]>([:])

    /// How long an address has to wait before it may try; nil when it may.
    func wait(_ address: String) -> Duration? {
        tries.withLock { tries in
            guard let tried = tries[address], tried.count >= Self.triesMax else { return nil }
            let left = tried.last + Self.pause - .now
            return left > .zero ? left : nil
        }
    }

    func failed(_ address: String) {
        tries.withLock { tries in
            let now = ContinuousClock.now
            if tries.count >= Self.addressesMax { tries = tries.filter { $0.value.last + Self.pause > now } }
            var tried = tries[address] ?? Tries(last: now)
            if tried.last + Self.pause < now { tried.count = 0 }
            tried.count += 1
            tried.last = now
            tries[address] = tried
        }
    }

    func succeeded(_ address: String) {
        tries.withLock { $0[address] = nil }
    }
}
