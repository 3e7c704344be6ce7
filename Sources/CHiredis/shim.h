#ifndef ONEWRITE_CHIREDIS_SHIM_H
#define ONEWRITE_CHIREDIS_SHIM_H

// One source for hiredis 0.14 and 1.x: structs are never copied or sized in Swift, so their layout may differ.
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>

// An array of 128 characters, which Swift would see as a tuple.
static inline const char *onewrite_redis_error_text(const redisContext *context) {
    return context->errstr;
}

// The bytes that wait to be written.
static inline size_t onewrite_redis_output_length(const redisContext *context) {
    return sdslen(context->obuf);
}

// They themselves.
static inline const char *onewrite_redis_output(const redisContext *context) {
    return context->obuf;
}

// Empties the write buffer, and gives back one that is larger than this; 0 when memory ran out.
static inline int onewrite_redis_output_clear(redisContext *context, size_t kept) {
    if (sdslen(context->obuf) <= kept) {
        sdsclear(context->obuf);
        return 1;
    }
    sdsfree(context->obuf);
    context->obuf = sdsempty();
    return context->obuf != NULL;
}

// The bytes read from the socket that make no whole reply yet.
static inline size_t onewrite_redis_input_length(const redisContext *context) {
    return context->reader->len - context->reader->pos;
}

// How large an empty read buffer may stay; above it hiredis frees the buffer and grows a new one from nothing.
static inline void onewrite_redis_keep_input(redisContext *context, size_t length) {
    context->reader->maxbuf = length;
}

#endif
