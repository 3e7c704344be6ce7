#ifndef ONEWRITE_REPLY_ARENA_H
#define ONEWRITE_REPLY_ARENA_H

#include <hiredis/hiredis.h>

// Makes hiredis build its replies in a few large pieces of memory instead of two a string: a read of a thousand entries
// has some twenty thousand strings. The replies have hiredis' own structs, but only onewrite_redis_reply_free frees them.
void onewrite_redis_use_arena(redisContext *context);

// Frees a whole reply.
void onewrite_redis_reply_free(redisReply *reply);

#endif
