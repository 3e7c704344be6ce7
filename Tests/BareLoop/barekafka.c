// The yardstick of the kind `kafka`: a stream's entries produced to a topic, straight on hiredis and librdkafka, in one thread.
//
// No ownership, no fencing of what it reads, no checks, no retry; but transactions, with an offset in each, since that is what
// is compared. KafkaKindTests/throughput builds and runs it.
//
//   barekafka STREAM TOPIC BROKERS     reads 1000 at a time as consumer group `bare`, produces them and an offset in one
//                                      transaction, acknowledges; ends when a read finds nothing more
//
// Prints a count and a rate. BAREKAFKA_SOCKET is Redis's unix socket.
#include <hiredis/hiredis.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 1000, TIMEOUT = 20000 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *where, const char *why) {
    fprintf(stderr, "barekafka: %s: %s\n", where, why);
    exit(1);
}

static void require(const char *where, rd_kafka_error_t *error) {
    if (error) fail(where, rd_kafka_error_string(error));
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) fail(name, text);
}

static redisReply *checked(redisContext *redis, redisReply *reply) {
    if (!reply) fail("redis", redis->errstr);
    if (reply->type == REDIS_REPLY_ERROR) fail("redis", reply->str);
    return reply;
}

static const redisReply *field(const redisReply *fields, const char *name) {
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (!strcmp(fields->element[i]->str, name)) return fields->element[i + 1];
    fail("entry", name);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) fail("usage", "STREAM TOPIC BROKERS");
    const char *stream = argv[1], *topic = argv[2];
    redisContext *redis = redisConnectUnix(getenv("BAREKAFKA_SOCKET"));
    if (!redis || redis->err) fail("redis", redis ? redis->errstr : "no memory");
    freeReplyObject(redisCommand(redis, "XGROUP DESTROY %s bare", stream));
    freeReplyObject(checked(redis, redisCommand(redis, "XGROUP CREATE %s bare 0", stream)));

    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", argv[3]);
    set(conf, "transactional.id", "bare");
    set(conf, "linger.ms", "5");
    set(conf, "queue.buffering.max.kbytes", "262144");
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!rk) fail("producer", text);
    require("init", rd_kafka_init_transactions(rk, TIMEOUT));
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new("bare");

    double since = seconds();
    long count = 0;
    for (;;) {
        redisReply *reply = checked(
            redis, redisCommand(redis, "XREADGROUP GROUP bare me COUNT %d STREAMS %s >", BATCH, stream));
        if (reply->type == REDIS_REPLY_NIL) break;
        redisReply *entries = reply->element[0]->element[1];
        const char *acks[BATCH + 3] = {"XACK", stream, "bare"};
        require("begin", rd_kafka_begin_transaction(rk));
        for (size_t i = 0; i < entries->elements; i++) {
            const redisReply *fields = entries->element[i]->element[1], *shop = field(fields, "shop");
            char value[512];
            int length = snprintf(
                value, sizeof value, "{\"seq\":%s,\"type\":\"%s\",\"id\":\"%s\",\"shop\":\"%s\",\"lines\":\"%s\"}",
                field(fields, "seq")->str, field(fields, "type")->str, field(fields, "id")->str, shop->str,
                field(fields, "lines")->str);
            rd_kafka_resp_err_t code = rd_kafka_producev(
                rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                RD_KAFKA_V_KEY(shop->str, shop->len), RD_KAFKA_V_VALUE(value, (size_t)length),
                RD_KAFKA_V_HEADER("onewrite-seq", field(fields, "seq")->str, -1),
                RD_KAFKA_V_HEADER("onewrite-type", field(fields, "type")->str, -1), RD_KAFKA_V_END);
            if (code) fail("produce", rd_kafka_err2str(code));
            acks[i + 3] = entries->element[i]->element[0]->str;
        }
        count += (long)entries->elements;
        rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(offsets, topic, 0)->offset = count;
        require("offsets", rd_kafka_send_offsets_to_transaction(rk, offsets, group, TIMEOUT));
        require("commit", rd_kafka_commit_transaction(rk, TIMEOUT));
        rd_kafka_topic_partition_list_destroy(offsets);
        freeReplyObject(checked(redis, redisCommandArgv(redis, (int)entries->elements + 3, acks, NULL)));
        freeReplyObject(reply);
    }
    printf("%ld\t%.0f\n", count, (double)count / (seconds() - since));
    return 0;
}
