import ThreadedIO

// TLS between connecting and the session.
extension RedisSession {
    /// How the connection is encrypted: TLS's version, as `TLSv1.3`, and the cipher's name; nil when it is not, or has ended.
    package var encryption: (version: String, cipher: String)? {
        context?.channel.map { ($0.version, $0.cipher) }
    }

    /// Whether the server has proved who it is: false where nobody asked.
    package var isServerVerified: Bool { encryption != nil && configuration.tls?.isVerified == true }

    /// Whether the server is on this machine; false when that can't be told.
    package var isOnThisMachine: Bool {
        context.map { ThreadedIO.isOnThisMachine(peerOf: $0.descriptor) } ?? false
    }

    /// Shakes hands, and asks a server that says nothing to it whether it speaks Redis without TLS.
    static func secure(
        _ context: HiredisContext, _ tls: RedisTLS, _ host: String, _ configuration: RedisConfiguration,
        until deadline: Deadline, interrupt: Interrupt?
    ) throws(RedisError) {
        func failed(_ failure: HiredisContext.Failure) -> RedisError {
            switch failure {
            case .refused(let reason): .tlsFailed(address: configuration.address, reason: reason)
            case .lost(let reason), .malformed(let reason):
                .connectionFailed(address: configuration.address, reason: "in the TLS handshake: \(reason)")
            }
        }
        // A quarter is for the question.
        let patience = min(deadline, .after(deadline.remaining * 3 / 4))
        do { try context.beginTLS(tls, with: host) } catch { throw failed(error) }
        while true {
            let interest: Interest?
            do { interest = try context.shakeHands() } catch { throw failed(error) }
            guard let interest else { return }
            switch wait(for: interest, on: context.descriptor, until: patience, interrupt: interrupt) {
            case .ready: continue
            case .interrupted: throw .interrupted
            case .timedOut:
                guard try answersPlainly(configuration, until: deadline, interrupt: interrupt) else {
                    throw failed(.lost("no answer in time"))
                }
                throw failed(.refused(TLSWords.noTLS))
            }
        }
    }

    /// Whether Redis answers to a PING without TLS; it waits for the end of a handshake's first line for ever.
    private static func answersPlainly(
        _ configuration: RedisConfiguration, until deadline: Deadline, interrupt: Interrupt?
    ) throws(RedisError) -> Bool {
        var plain = configuration
        plain.tls = nil
        do throws(RedisError) {
            let context = try connect(to: plain, until: deadline, interrupt: interrupt)
            do throws(HiredisContext.Failure) {
                try context.append(RedisCommand("PING"))
                guard try context.write(),
                    wait(for: .reading, on: context.descriptor, until: deadline, interrupt: interrupt) == .ready
                else { return false }
                try context.read()
                return try context.nextReply() != nil
            } catch {
                return false
            }
        } catch .interrupted {
            throw .interrupted
        } catch {
            return false
        }
    }
}
