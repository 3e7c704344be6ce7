#if Kafka
import CLibrdkafka
import Synchronization

/// A client of librdkafka's, and what its callbacks say.
final class KafkaHandle {
    let pointer: OpaquePointer
    /// The codes of messages that were not delivered, by number.
    let failures: Failures
    private let trouble: Trouble

    typealias Failures = KafkaNotes<[Int: Int32]>
    typealias Trouble = KafkaNotes<String?>

    /// Settings of producers, which a consumer warns of.
    static func ofProducers(_ name: String) -> Bool {
        [
            "acks", "request.required.acks", "batch.size", "batch.num.messages", "linger.ms", "queue.buffering.max.ms",
            "queue.buffering.max.messages", "queue.buffering.max.kbytes", "compression.type", "compression.codec",
            "compression.level", "partitioner", "retries", "message.send.max.retries", "message.timeout.ms",
            "delivery.timeout.ms", "transaction.timeout.ms", "request.timeout.ms", "sticky.partitioning.linger.ms",
        ].contains(name)
    }

    init(_ type: rd_kafka_type_t, _ properties: [String: String]) throws(KafkaError) {
        let configuration = rd_kafka_conf_new()
        var text = [CChar](repeating: 0, count: 512)
        for (name, value) in properties.sorted(by: { $0.key < $1.key }) {
            guard rd_kafka_conf_set(configuration, name, value, &text, text.count) == RD_KAFKA_CONF_OK else {
                rd_kafka_conf_destroy(configuration)
                // The library quotes the value, which may be a secret.
                throw KafkaError(.misconfigured, "\(name): librdkafka doesn't take it, or not with this value")
            }
        }
        let (failures, trouble) = (Failures([:]), Trouble(nil))
        let notes = Unmanaged.passRetained(Notes(failures, trouble))
        rd_kafka_conf_set_opaque(configuration, notes.toOpaque())
        rd_kafka_conf_set_log_cb(configuration, nil)
        rd_kafka_conf_set_error_cb(configuration) { _, _, reason, opaque in
            guard let opaque, let reason else { return }
            let text = String(cString: reason)
            Unmanaged<Notes>.fromOpaque(opaque).takeUnretainedValue().trouble.withLock { $0 = text }
        }
        if type == RD_KAFKA_PRODUCER {
            rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, opaque in
                guard let opaque, let message, message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
                let (number, code) = (Int(ow_kafka_number(message)), message.pointee.err.rawValue)
                Unmanaged<Notes>.fromOpaque(opaque).takeUnretainedValue().failures.withLock { $0[number] = code }
            }
        }
        guard let pointer = rd_kafka_new(type, configuration, &text, text.count) else {
            rd_kafka_conf_destroy(configuration)
            notes.release()
            let said = text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } } ?? ""
            throw KafkaError(.misconfigured, said)
        }
        self.pointer = pointer
        (self.failures, self.trouble) = (failures, trouble)
    }

    deinit {
        let notes = rd_kafka_opaque(pointer)
        // Nothing that is queued is waited for.
        rd_kafka_purge(pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
        rd_kafka_destroy_flags(pointer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        if let notes { Unmanaged<Notes>.fromOpaque(notes).release() }
    }

    /// An error with what the way to the brokers last had to say.
    func explained(_ error: KafkaError) -> KafkaError {
        rd_kafka_poll(pointer, 0)
        guard let trouble = trouble.withLock({ $0 }), !error.message.contains(trouble) else { return error }
        return KafkaError(error.kind, "\(error.message) (\(trouble))", number: error.number)
    }

    private final class Notes: Sendable {
        let failures: Failures
        let trouble: Trouble

        init(_ failures: Failures, _ trouble: Trouble) { (self.failures, self.trouble) = (failures, trouble) }
    }
}

/// What a callback writes down, from whatever thread.
final class KafkaNotes<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        value.withLock { value in body(&value) }
    }
}
#endif
