#if Kafka
import CLibrdkafka
import Foundation
import PrivateServers
import Testing
import TestSupport

/// librdkafka's own cluster in this process, which fails as it is told.
private final class MockCluster {
    static let topic = "orders"

    private let handle: OpaquePointer
    private let cluster: OpaquePointer

    init() throws {
        var text = [CChar](repeating: 0, count: 256)
        handle = try #require(rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), &text, text.count))
        cluster = try #require(rd_kafka_mock_cluster_new(handle, 1))
        rd_kafka_mock_topic_create(cluster, Self.topic, 3, 1)
    }

    deinit {
        rd_kafka_mock_cluster_destroy(cluster)
        rd_kafka_destroy(handle)
    }

    var address: String { rd_kafka_mock_cluster_bootstraps(cluster).map { String(cString: $0) } ?? "" }

    /// Has the next requests of a kind fail, by Kafka's numbers of requests.
    func fail(_ request: Int16, _ codes: [rd_kafka_resp_err_t]) {
        rd_kafka_mock_push_request_errors_array(cluster, request, codes.count, codes)
    }

    func setDown(_ isDown: Bool) {
        if isDown { rd_kafka_mock_broker_set_down(cluster, 1) } else { rd_kafka_mock_broker_set_up(cluster, 1) }
    }
}

@Suite("What a broker of Kafka's can fail with")
struct KafkaFailureTests {
    private static let (produce, initProducerID, endTransaction, commitOffsets) = (
        Int16(0), Int16(22), Int16(26), Int16(28)
    )

    private static func withGroup(_ body: (KindShop, MockCluster) async throws -> Void) async throws {
        try await withKindShop { shop in
            let cluster = try MockCluster()
            let worker = try await shop.worker()
            _ = try await shop.run(
                "group", "add", "ship", "--kind", "kafka", "--brokers", cluster.address, "--topic", MockCluster.topic
            ).succeeded()
            try await shop.submit(40)
            try await shop.settled("ship")
            try await body(shop, cluster)
            await worker.kill()
        }
    }

    @Test("what passes is tried again, what fences or is fatal leads to taking over anew, and the group goes on")
    func goesOn() async throws {
        try await Self.withGroup { shop, cluster in
            let failures: [(Int16, [rd_kafka_resp_err_t])] = [
                (
                    Self.produce,
                    [RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT]
                ),
                (Self.endTransaction, [RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE]),
                (Self.endTransaction, [RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH]),
                (Self.endTransaction, [RD_KAFKA_RESP_ERR_PRODUCER_FENCED]),
                (Self.commitOffsets, [RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS]),
                (Self.commitOffsets, [RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]),
                (
                    Self.initProducerID,
                    [RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS]
                ),
                (Self.produce, [RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING]),
            ]
            for (request, codes) in failures {
                cluster.fail(request, codes)
                try await shop.submit(40)
                try await shop.settled("ship")
            }
            #expect(try shop.deadLetters("ship").isEmpty)
        }
    }

    @Test("what a person has to mend shows in status, with the broker's words, until it is mended")
    func stalls() async throws {
        try await Self.withGroup { shop, cluster in
            let failures: [(Int16, rd_kafka_resp_err_t, String)] = [
                (Self.produce, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "Topic authorization failed"),
                (Self.commitOffsets, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "Group authorization failed"),
                (
                    Self.initProducerID, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                    "Transactional Id authorization failed"
                ),
            ]
            for (request, code, words) in failures {
                // As often as it is tried in some seconds.
                cluster.fail(request, Array(repeating: code, count: 12))
                if request == Self.initProducerID {
                    // Asked for when a partition is taken over only.
                    cluster.fail(Self.endTransaction, [RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH])
                }
                try await shop.submit(40)
                try await eventually(within: .seconds(30), "\(words): \(shop.log().suffix(1500))") {
                    try await shop.run("status", "--json").output.contains(words) || shop.log().contains(words)
                }
                try await shop.settled("ship", within: .seconds(90))
            }
            #expect(try shop.deadLetters("ship").isEmpty)
        }
    }

    @Test("what is too large together is sent in halves; what is too large by itself is set aside")
    func tooLarge() async throws {
        try await Self.withGroup { shop, cluster in
            // Each first try of a partition of the topic is refused, of whatever size.
            cluster.fail(Self.produce, [RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE])
            try await shop.submit(200)
            try await shop.settled("ship")
            #expect(try shop.deadLetters("ship").isEmpty)
        }
    }

    @Test("a broker that is down for a while is waited for")
    func down() async throws {
        try await Self.withGroup { shop, cluster in
            cluster.setDown(true)
            try await shop.submit(40)
            try await eventually(within: .seconds(60), "status says why: \(shop.log().suffix(1500))") {
                try await shop.run("status", "--json").output.contains("ship: Kafka: ")
            }
            cluster.setDown(false)
            try await shop.settled("ship")
        }
    }
}
#endif
