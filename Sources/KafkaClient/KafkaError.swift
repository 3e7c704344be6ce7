#if Kafka
import CLibrdkafka

/// What librdkafka, or a broker, said.
package struct KafkaError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What follows from it.
    package enum Kind: Hashable, Sendable {
        /// A setting that the library doesn't take.
        case misconfigured
        /// Not known, or not allowed, there.
        case unknownTopic, notPermitted
        /// The same call may succeed later.
        case retriable
        /// The transaction has to be aborted; another one may succeed.
        case abortable
        /// A younger producer of the same transactional ID is there.
        case fenced
        /// A message is larger than the broker, or the settings, let it be.
        case tooLarge
        /// The producer is of no use any more.
        case fatal
    }

    package let kind: Kind
    /// The library's name for it and what it said, for people.
    package let message: String
    /// The number of the message that it is about.
    package var number: Int?

    package init(_ kind: Kind, _ message: String, number: Int? = nil) {
        self.kind = kind
        self.message = message
        self.number = number
    }

    /// Takes the library's error, and destroys it.
    init(taking error: OpaquePointer) {
        defer { rd_kafka_error_destroy(error) }
        let code = rd_kafka_error_code(error)
        let kind: Kind =
            if Self.isFencing(code) {
                .fenced
            } else if rd_kafka_error_is_fatal(error) == 1 {
                .fatal
            } else if rd_kafka_error_txn_requires_abort(error) == 1 {
                .abortable
            } else if rd_kafka_error_is_retriable(error) == 1 {
                .retriable
            } else { Self.kind(of: code) }
        self.init(kind, String(cString: rd_kafka_error_string(error)))
    }

    init(_ code: rd_kafka_resp_err_t, number: Int? = nil) {
        self.init(
            Self.isFencing(code) ? .fenced : Self.kind(of: code), String(cString: rd_kafka_err2str(code)),
            number: number)
    }

    private static func isFencing(_ code: rd_kafka_resp_err_t) -> Bool {
        [
            RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
        ].contains(code)
    }

    private static func kind(of code: rd_kafka_resp_err_t) -> Kind {
        switch code {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: .tooLarge
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            .unknownTopic
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
            .notPermitted
        case RD_KAFKA_RESP_ERR__INVALID_ARG: .misconfigured
        default: .retriable
        }
    }

    package var description: String { message }
}
#endif
