#if Kafka
import CLibrdkafka
import Glibc
import Synchronization
package import ThreadedIO

/// A transactional producer, for one thread at a time; librdkafka has threads of its own.
///
/// Every call blocks until it is done or its deadline passes. After an error that isn't ``KafkaError/Kind/retriable`` or
/// ``KafkaError/Kind/abortable`` it is to be let go of.
///
/// librdkafka: <https://docs.confluent.io/platform/current/clients/librdkafka/html/rdkafka_8h.html>
package final class KafkaProducer {
    private let handle: KafkaHandle

    /// Makes a producer; nothing is asked of the broker before ``initTransactions(until:)``.
    ///
    /// - Parameters:
    ///   - properties: librdkafka's, by name.
    ///   - transactionalID: Whoever has it later fences this one.
    /// - Throws: ``KafkaError`` of the kind ``KafkaError/Kind/misconfigured``.
    package init(_ properties: [String: String], transactionalID: String) throws(KafkaError) {
        handle = try KafkaHandle(
            RD_KAFKA_PRODUCER,
            properties.merging([
                "transactional.id": transactionalID, "enable.idempotence": "true",
                // What Kafka's own clients do: a key is in the same partition whoever produced it.
                "partitioner": properties["partitioner"] ?? "murmur2_random",
            ]) { $1 })
    }

    /// Fences every older producer of the same ID, and waits until what that had begun is committed or aborted.
    ///
    /// - Parameter deadline: When to give up.
    /// - Throws: ``KafkaError``.
    package func initTransactions(until deadline: Deadline) throws(KafkaError) {
        try retrying(until: deadline) { rd_kafka_init_transactions(handle.pointer, $0) }
    }

    /// Begins a transaction.
    package func begin() throws(KafkaError) {
        handle.failures.withLock { $0 = [:] }
        if let error = rd_kafka_begin_transaction(handle.pointer) { throw KafkaError(taking: error) }
    }

    /// A message.
    package struct Message: Sendable {
        package let key: String
        package let value: String
        package let headers: [(name: String, value: String)]
        /// Milliseconds since 1970.
        package let timestamp: Int64

        package init(key: String, value: String, headers: [(name: String, value: String)], timestamp: Int64) {
            self.key = key
            self.value = value
            self.headers = headers
            self.timestamp = timestamp
        }
    }

    /// Queues a message of the transaction.
    ///
    /// - Parameters:
    ///   - message: What.
    ///   - number: Names it in errors.
    ///   - topic: Where to.
    ///   - deadline: How long to wait for room in the queue.
    /// - Throws: ``KafkaError``.
    package func produce(
        _ message: Message, number: Int, to topic: String, until deadline: Deadline
    ) throws(KafkaError) {
        while true {
            let headers = rd_kafka_headers_new(message.headers.count)
            for header in message.headers {
                rd_kafka_header_add(headers, header.name, -1, header.value, header.value.utf8.count)
            }
            let code = ow_kafka_produce(
                handle.pointer, topic, message.key, message.key.utf8.count, message.value, message.value.utf8.count,
                message.timestamp, headers, number)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
            rd_kafka_headers_destroy(headers)
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL, !deadline.hasPassed else {
                throw KafkaError(code, number: number)
            }
            rd_kafka_poll(handle.pointer, 10)
        }
    }

    /// Makes a position part of the transaction: the offset of a consumer group, with metadata.
    ///
    /// - Parameters:
    ///   - offset: The offset, 0 or more.
    ///   - metadata: A short text beside it.
    ///   - group: The consumer group.
    ///   - topic: The topic, of whose partition 0 it is said to be an offset.
    ///   - deadline: When to give up.
    /// - Throws: ``KafkaError``.
    package func sendOffset(
        _ offset: Int64, metadata: String, group: String, topic: String, until deadline: Deadline
    ) throws(KafkaError) {
        let list = rd_kafka_topic_partition_list_new(1)
        let membership = rd_kafka_consumer_group_metadata_new(group)
        defer {
            rd_kafka_topic_partition_list_destroy(list)
            rd_kafka_consumer_group_metadata_destroy(membership)
        }
        let place = rd_kafka_topic_partition_list_add(list, topic, 0)
        place?.pointee.offset = offset
        // Freed with the list.
        place?.pointee.metadata = UnsafeMutableRawPointer(strdup(metadata))
        place?.pointee.metadata_size = metadata.utf8.count
        try retrying(until: deadline) { rd_kafka_send_offsets_to_transaction(handle.pointer, list, membership, $0) }
    }

    /// Sends what is queued.
    ///
    /// - Parameter deadline: When to give up.
    /// - Throws: ``KafkaError``; of a message that the broker refused for its size, with its number.
    package func flush(until deadline: Deadline) throws(KafkaError) {
        let code = rd_kafka_flush(handle.pointer, deadline.milliseconds)
        if let refusedMessage { throw refusedMessage }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { throw handle.explained(KafkaError(code)) }
    }

    /// Commits.
    ///
    /// - Parameter deadline: When to give up: then the outcome is unknown.
    /// - Throws: ``KafkaError``.
    package func commit(until deadline: Deadline) throws(KafkaError) {
        try retrying(until: deadline) { rd_kafka_commit_transaction(handle.pointer, $0) }
    }

    /// Aborts the transaction.
    ///
    /// - Parameter deadline: When to give up.
    /// - Throws: ``KafkaError``.
    package func abort(until deadline: Deadline) throws(KafkaError) {
        try retrying(until: deadline) { rd_kafka_abort_transaction(handle.pointer, $0) }
    }

    /// The first message that a broker refused for its size.
    private var refusedMessage: KafkaError? {
        let failures = handle.failures.withLock { $0 }
        return failures.filter { KafkaError(rd_kafka_resp_err_t(rawValue: $0.value)).kind == .tooLarge }.keys.min()
            .map { KafkaError(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, number: $0) }
    }

    private func retrying(
        until deadline: Deadline, _ call: (Int32) -> OpaquePointer?
    ) throws(KafkaError) {
        while true {
            guard let pointer = call(deadline.milliseconds) else { return }
            let error = KafkaError(taking: pointer)
            guard error.kind == .retriable, !deadline.hasPassed else { throw handle.explained(error) }
            rd_kafka_poll(handle.pointer, 50)
        }
    }
}

/// Looks at a cluster.
package struct KafkaLook {
    private let properties: [String: String]

    /// - Parameter properties: librdkafka's, by name.
    package init(_ properties: [String: String]) { self.properties = properties }

    /// How many partitions a topic has.
    ///
    /// - Parameters:
    ///   - topic: The topic.
    ///   - deadline: When to give up.
    /// - Returns: At least one.
    /// - Throws: ``KafkaError``: of the kind ``KafkaError/Kind/unknownTopic`` when it isn't there.
    package func partitions(of topic: String, until deadline: Deadline) throws(KafkaError) -> Int {
        let handle = try KafkaHandle(RD_KAFKA_PRODUCER, properties)
        var metadata: UnsafePointer<rd_kafka_metadata>?
        // Of all topics: asked for one, a broker may make it.
        let code = rd_kafka_metadata(handle.pointer, 1, nil, &metadata, deadline.milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata else { throw handle.explained(KafkaError(code)) }
        defer { rd_kafka_metadata_destroy(metadata) }
        let topics = UnsafeBufferPointer(start: metadata.pointee.topics, count: Int(metadata.pointee.topic_cnt))
        guard let found = topics.first(where: { $0.topic.map { String(cString: $0) } == topic }) else {
            throw KafkaError(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        }
        if found.err != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaError(found.err) }
        guard found.partition_cnt > 0 else { throw KafkaError(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) }
        return Int(found.partition_cnt)
    }

    /// The position that a transaction committed for a consumer group.
    ///
    /// - Parameters:
    ///   - group: The consumer group.
    ///   - topic: The topic, of whose partition 0 it is said to be an offset.
    ///   - deadline: When to give up.
    /// - Returns: The offset, and its metadata, which some brokers don't keep; nil when nothing was committed.
    /// - Throws: ``KafkaError``.
    package func committed(
        group: String, topic: String, until deadline: Deadline
    ) throws(KafkaError) -> (offset: Int64, metadata: String)? {
        let handle = try KafkaHandle(
            RD_KAFKA_CONSUMER,
            properties.filter { !KafkaHandle.ofProducers($0.key) }.merging([
                "group.id": group, "isolation.level": "read_committed", "enable.auto.commit": "false",
            ]) { $1 })
        let list = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        rd_kafka_topic_partition_list_add(list, topic, 0)
        let code = rd_kafka_committed(handle.pointer, list, deadline.milliseconds)
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { throw handle.explained(KafkaError(code)) }
        guard let place = list?.pointee.elems?.pointee else { return nil }
        if place.err != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaError(place.err) }
        guard place.offset >= 0 else { return nil }
        let bytes = UnsafeRawBufferPointer(
            start: place.metadata, count: place.metadata == nil ? 0 : place.metadata_size)
        return (place.offset, String(decoding: bytes, as: UTF8.self))
    }
}

extension Deadline {
    /// What the library takes; at least a moment.
    fileprivate var milliseconds: Int32 { Int32(max(1, min(remaining / .milliseconds(1), 600_000))) }
}
#endif
