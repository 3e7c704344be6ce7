#include "reply_arena.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// Pieces double from the first, up to this.
enum { FIRST_ARRAY_BYTES = 1 << 10, PIECE_BYTES_MAX = 1 << 18 };

// What all arrays of a reply may claim to hold together: twelve bytes can claim two thousand million parts.
enum { PARTS_MAX = 1 << 26 };

typedef struct Piece {
    struct Piece *older;
    size_t used, size;
    char bytes[];
} Piece;

// Lies at the beginning of the oldest piece, so that a reply's root leads to all of them.
typedef struct {
    Piece *newest;
    size_t parts;
    redisReply root;
} Arena;

static Piece *make_piece(Piece *older, size_t size) {
    if (size > SIZE_MAX - sizeof(Piece)) return NULL;
    Piece *piece = malloc(sizeof(Piece) + size);
    if (piece != NULL) *piece = (Piece){.older = older, .size = size};
    return piece;
}

static Arena *arena_of(redisReply *root) {
    return (Arena *)((char *)root - offsetof(Arena, root));
}

static void *take(Arena *arena, size_t size) {
    const size_t unit = sizeof(void *);
    size = (size + unit - 1) / unit * unit;
    Piece *piece = arena->newest;
    if (piece->size - piece->used < size) {
        size_t next = piece->size < PIECE_BYTES_MAX / 2 ? piece->size * 2 : PIECE_BYTES_MAX;
        piece = make_piece(piece, size > next ? size : next);
        if (piece == NULL) return NULL;
        arena->newest = piece;
    }
    void *bytes = piece->bytes + piece->used;
    piece->used += size;
    return bytes;
}

static const redisReadTask *root_of(const redisReadTask *task) {
    while (task->parent != NULL) task = task->parent;
    return task;
}

// A part of a reply, in its place in the array that holds it, with room for `extra` bytes behind it.
static redisReply *make(const redisReadTask *task, int type, size_t extra) {
    redisReply *reply;
    if (task->parent == NULL) {
        size_t room = sizeof(Arena) + extra + (type == REDIS_REPLY_ARRAY ? FIRST_ARRAY_BYTES : sizeof(void *));
        Piece *piece = make_piece(NULL, room);
        if (piece == NULL) return NULL;
        Arena *arena = (Arena *)piece->bytes;
        piece->used = sizeof(Arena) + extra;
        piece->used = (piece->used + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
        arena->newest = piece;
        arena->parts = 0;
        reply = &arena->root;
    } else {
        reply = take(arena_of(root_of(task)->obj), sizeof(redisReply) + extra);
        if (reply == NULL) return NULL;
        redisReply *parent = task->parent->obj;
        parent->element[task->idx] = reply;
    }
    memset(reply, 0, sizeof *reply);
    reply->type = type;
    return reply;
}

static void *make_string(const redisReadTask *task, char *text, size_t length) {
    redisReply *reply = make(task, task->type, length + 1);
    if (reply == NULL) return NULL;
    reply->str = (char *)(reply + 1);
    memcpy(reply->str, text, length);
    reply->str[length] = 0;
    reply->len = length;
    return reply;
}

static void *make_integer(const redisReadTask *task, long long value) {
    redisReply *reply = make(task, REDIS_REPLY_INTEGER, 0);
    if (reply != NULL) reply->integer = value;
    return reply;
}

static void *make_nil(const redisReadTask *task) {
    return make(task, REDIS_REPLY_NIL, 0);
}

#if HIREDIS_MAJOR >= 1
typedef size_t ArrayCount;

static void *make_double(const redisReadTask *task, double value, char *text, size_t length) {
    redisReply *reply = make_string(task, text, length);
    if (reply != NULL) reply->dval = value;
    return reply;
}

static void *make_bool(const redisReadTask *task, int value) {
    redisReply *reply = make(task, REDIS_REPLY_BOOL, 0);
    if (reply != NULL) reply->integer = value != 0;
    return reply;
}
#else
typedef int ArrayCount;
#endif

// What is claimed costs address space, and memory only as the parts come: nobody looks at the others.
static void *make_array(const redisReadTask *task, ArrayCount count) {
    size_t others = task->parent == NULL ? 0 : arena_of(root_of(task)->obj)->parts;
    if ((size_t)count > PARTS_MAX - others) return NULL;
    redisReply *reply = make(task, task->type, count * sizeof(redisReply *));
    if (reply == NULL) return NULL;
    reply->elements = count;
    reply->element = (redisReply **)(reply + 1);
    arena_of(task->parent == NULL ? reply : root_of(task)->obj)->parts += count;
    return reply;
}

static void free_root(void *root) {
    Piece *piece = arena_of(root)->newest;
    while (piece != NULL) {
        Piece *older = piece->older;
        free(piece);
        piece = older;
    }
}

static redisReplyObjectFunctions functions = {
    .createString = make_string,
    .createArray = make_array,
    .createInteger = make_integer,
    .createNil = make_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = make_double,
    .createBool = make_bool,
#endif
    .freeObject = free_root,
};

void onewrite_redis_use_arena(redisContext *context) {
    context->reader->fn = &functions;
}

void onewrite_redis_reply_free(redisReply *reply) {
    free_root(reply);
}
