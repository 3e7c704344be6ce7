import Connections
import Logging
import NIOCore
import NIOSSL
import Synchronization

/// The certificate that the server shows, and its key; read anew when their files were changed.
final class ServerCertificate: Sendable {
    private struct Pair {
        let chain: [NIOSSLCertificateSource]
        let key: NIOSSLPrivateKeySource

        /// Throws unless the key is the certificate's.
        init(_ certificate: String, _ key: String) throws {
            chain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
            self.key = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            _ = try NIOSSLContext(
                configuration: .makeServerConfiguration(certificateChain: chain, privateKey: self.key))
        }
    }

    private struct State {
        var pair: Pair
        var stamps: [FileStamp?]
        /// Whether it was told that the files as they are can't be used.
        var isTold = false
    }

    private let certificate: String
    private let key: String
    private let state: Mutex<State>

    /// - Throws: ``LogError`` when the files can't be used.
    init(certificate: String, key: String) throws(LogError) {
        (self.certificate, self.key) = (certificate, key)
        let stamps = [FileStamp(certificate), FileStamp(key)]
        do {
            state = Mutex(State(pair: try Pair(certificate, key), stamps: stamps))
        } catch {
            throw LogError(
                .badConfiguration, "the certificate \(certificate) with the key \(key) can't be used: \(error)")
        }
    }

    /// How the server speaks TLS: each handshake with what was read last.
    var configuration: TLSConfiguration {
        let pair = state.withLock { $0.pair }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: pair.chain, privateKey: pair.key)
        configuration.sslContextCallback = { [self] _, promise in
            let pair = state.withLock { $0.pair }
            var change = NIOSSLContextConfigurationOverride()
            (change.certificateChain, change.privateKey) = (pair.chain, pair.key)
            promise.succeed(change)
        }
        return configuration
    }

    /// Reads the files again if one of them has changed; until both fit each other the former ones count.
    func reload(_ logger: Logger) {
        let stamps = [FileStamp(certificate), FileStamp(key)]
        guard state.withLock({ $0.stamps != stamps }) else { return }
        do {
            let pair = try Pair(certificate, key)
            state.withLock { $0 = State(pair: pair, stamps: stamps) }
            logger.info("the certificate \(certificate) was read anew")
        } catch {
            // One of the two may come in a moment: it is looked at again.
            let isTold = state.withLock { state in
                defer { state.isTold = true }
                return state.isTold
            }
            if !isTold {
                logger.warning("the certificate \(certificate) with its key can't be used; the former ones still count")
            }
        }
    }
}
