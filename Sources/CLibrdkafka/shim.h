#ifndef ONEWRITE_CLIBRDKAFKA_SHIM_H
#define ONEWRITE_CLIBRDKAFKA_SHIM_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdint.h>

// rd_kafka_producev is variadic, which Swift can't call. Everything is copied; `headers` are the library's own on success.
static inline rd_kafka_resp_err_t ow_kafka_produce(
    rd_kafka_t *rk, const char *topic, const void *key, size_t key_length, const void *value, size_t value_length,
    int64_t timestamp, rd_kafka_headers_t *headers, intptr_t number) {
    return rd_kafka_producev(
        rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_length),
        RD_KAFKA_V_VALUE((void *)value, value_length), RD_KAFKA_V_TIMESTAMP(timestamp), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE((void *)number), RD_KAFKA_V_END);
}

// A message's number, as ow_kafka_produce was given it.
static inline intptr_t ow_kafka_number(const rd_kafka_message_t *message) { return (intptr_t)message->_private; }

#endif
