// The yardstick: the work of a submitter and of the three workers, straight on hiredis and libpq, in one thread.
//
// It gives no guarantee at all: no ownership, no fencing, no checks, no idempotency, no retry. What it costs to give
// them is the difference to Onewrite on the same servers (see docs/performance.md); scripts/bench builds and runs it.
//
//   bareloop append [N]   fills one stream with N orders of two lines (100000), 500 to a pipeline
//   bareloop stock        reads 1000 at a time; one transaction a batch counts stock down, moves the position, acknowledges
//   bareloop delivery     the same with a job an order at the end of a list
//   bareloop postgres     the same with a transaction in Postgres, and the acknowledgement behind it
//
// Each prints its name, a count and a rate; a drain's time ends when a read finds nothing more. The servers:
// BARELOOP_REDIS_PORT (6379) and BARELOOP_PG, a connection string. `append` empties the Redis database, `postgres` drops
// and makes its own tables bareloop_*.
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STREAM "{bareloop:0}:log"
#define STOCK "{bareloop:0}:stock"
#define DELIVERIES "{bareloop:0}:deliveries"
#define POSITION "{bareloop:0}:position"

enum { BATCH = 1000, PIPELINE = 500, SKUS = 100, CUSTOMERS = 5000 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void report(const char *stage, int orders, double since) {
    printf("%s\t%d\t%.0f entries/s\n", stage, orders, orders / (seconds() - since));
}

static void fail(const char *where, const char *why) {
    fprintf(stderr, "bareloop: %s: %s\n", where, why);
    exit(1);
}

// MARK: Redis

static redisReply *checked(redisContext *redis, redisReply *reply) {
    if (reply == NULL) fail("redis", redis->errstr);
    if (reply->type == REDIS_REPLY_ERROR) fail("redis", reply->str);
    return reply;
}

static void discard_replies(redisContext *redis, int count) {
    for (int i = 0; i < count; i++) {
        void *reply = NULL;
        redisGetReply(redis, &reply);
        freeReplyObject(checked(redis, reply));
    }
}

static void append_orders(redisContext *redis, int orders) {
    redisAppendCommand(redis, "FLUSHDB");
    discard_replies(redis, 1);
    int waiting = 0;
    for (int i = 0; i < orders; i++) {
        char id[32], customer[32], lines[64];
        snprintf(id, sizeof id, "order-%08d", i);
        snprintf(customer, sizeof customer, "customer-%d", i % CUSTOMERS);
        snprintf(lines, sizeof lines, "SKU-%d:1 SKU-%d:2", i % SKUS, (i + 37) % SKUS);
        const char *command[] = {"XADD", STREAM, "*",        "type",   "order.placed", "id", id,
                                 "shop", "main", "customer", customer, "lines",        lines};
        redisAppendCommandArgv(redis, 13, command, NULL);
        if (++waiting < PIPELINE) continue;
        discard_replies(redis, waiting);
        waiting = 0;
    }
    discard_replies(redis, waiting);
}

// An entry's fields, within the reply that holds them.
struct order {
    const char *entry, *id, *customer;
    char *lines;
};

// Reads the next entries of a group; the reply is to be freed. `count` is 0 at the end of the stream.
static redisReply *read_orders(redisContext *redis, const char *group, struct order *orders, int *count) {
    redisReply *reply = checked(
        redis, redisCommand(redis, "XREADGROUP GROUP %s c1 COUNT %d STREAMS %s >", group, BATCH, STREAM));
    *count = 0;
    if (reply->type != REDIS_REPLY_ARRAY) return reply;
    redisReply *entries = reply->element[0]->element[1];
    for (size_t i = 0; i < entries->elements; i++) {
        redisReply *entry = entries->element[i], *fields = entry->element[1];
        orders[i].entry = entry->element[0]->str;
        for (size_t k = 0; k + 1 < fields->elements; k += 2) {
            const char *name = fields->element[k]->str;
            char *value = fields->element[k + 1]->str;
            if (strcmp(name, "id") == 0) orders[i].id = value;
            else if (strcmp(name, "customer") == 0) orders[i].customer = value;
            else if (strcmp(name, "lines") == 0) orders[i].lines = value;
        }
    }
    *count = (int)entries->elements;
    return reply;
}

static void append_acknowledgement(redisContext *redis, const char *group, const struct order *orders, int count) {
    const char *command[3 + BATCH] = {"XACK", STREAM, group};
    for (int i = 0; i < count; i++) command[3 + i] = orders[i].entry;
    redisAppendCommandArgv(redis, 3 + count, command, NULL);
}

// Takes the next "SKU:quantity" off the text, which is cut up on the way; 0 when there is none.
static int next_line(char **rest, char **sku, char **quantity) {
    *sku = strsep(rest, " ");
    if (*sku == NULL) return 0;
    *quantity = strchr(*sku, ':');
    *(*quantity)++ = '\0';
    return 1;
}

static int append_stock(redisContext *redis, struct order *order) {
    int commands = 0;
    for (char *rest = order->lines, *sku, *quantity; next_line(&rest, &sku, &quantity); commands++)
        redisAppendCommand(redis, "HINCRBY " STOCK " %s -%s", sku, quantity);
    return commands;
}

static int append_job(redisContext *redis, struct order *order) {
    redisAppendCommand(
        redis, "RPUSH " DELIVERIES " {\"job\":\"prepare\",\"order\":\"%s\",\"customer\":\"%s\",\"lines\":\"%s\"}",
        order->id, order->customer, order->lines);
    return 1;
}

static int drain_to_redis(redisContext *redis, const char *group, int (*apply)(redisContext *, struct order *)) {
    struct order orders[BATCH];
    int total = 0, count;
    for (;;) {
        redisReply *reply = read_orders(redis, group, orders, &count);
        if (count > 0) {
            int commands = 4;
            redisAppendCommand(redis, "MULTI");
            for (int i = 0; i < count; i++) commands += apply(redis, &orders[i]);
            redisAppendCommand(redis, "HSET " POSITION " %s %s", group, orders[count - 1].entry);
            append_acknowledgement(redis, group, orders, count);
            redisAppendCommand(redis, "EXEC");
            discard_replies(redis, commands);
        }
        freeReplyObject(reply);
        if (count == 0) return total;
        total += count;
    }
}

// MARK: Postgres

static void finish(PGconn *postgres, PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail("postgres", PQerrorMessage(postgres));
    PQclear(result);
}

static void sql(PGconn *postgres, const char *text) { finish(postgres, PQexec(postgres, text)); }

static void execute(PGconn *postgres, const char *statement, int count, const char *const *parameters) {
    finish(postgres, PQexecPrepared(postgres, statement, count, parameters, NULL, NULL, 0));
}

static void prepare(PGconn *postgres, const char *statement, const char *text) {
    finish(postgres, PQprepare(postgres, statement, text, 0, NULL));
}

// The text of an array: {"a","b"}. Nothing in an order needs escaping.
struct array {
    char *start, *end;
};

enum column { ID, ENTRY, CUSTOMER, LINES, LINE_ORDER, LINE_SKU, LINE_QUANTITY, COLUMNS };

static void add_element(struct array *array, const char *value) {
    *array->end = array->end == array->start ? '{' : ',';
    array->end++;
    *array->end++ = '"';
    while (*value != '\0') *array->end++ = *value++;
    *array->end++ = '"';
}

static void create_tables(PGconn *postgres) {
    sql(postgres,
        "SET client_min_messages = warning;"
        "DROP TABLE IF EXISTS bareloop_ledger, bareloop_lines, bareloop_orders, bareloop_stock, bareloop_position;"
        "CREATE TABLE bareloop_ledger(seq bigint PRIMARY KEY, entry text NOT NULL, id text NOT NULL,"
        " type text NOT NULL, shop text NOT NULL, customer text, lines text,"
        " applied_at timestamptz NOT NULL DEFAULT now());"
        "CREATE TABLE bareloop_orders(id text PRIMARY KEY, entry text NOT NULL, shop text NOT NULL,"
        " customer text NOT NULL, status text NOT NULL, at timestamptz NOT NULL DEFAULT now());"
        "CREATE TABLE bareloop_lines(order_id text, sku text, quantity int, PRIMARY KEY (order_id, sku));"
        "CREATE TABLE bareloop_stock(sku text PRIMARY KEY, on_hand bigint NOT NULL);"
        "CREATE TABLE bareloop_position(grp text PRIMARY KEY, entry text NOT NULL);"
        "INSERT INTO bareloop_position VALUES ('postgres', '0-0')");
    prepare(postgres, "orders",
        "INSERT INTO bareloop_orders(id, entry, shop, customer, status) SELECT i, e, 'main', c, 'placed'"
        " FROM unnest($1::text[], $2::text[], $3::text[]) AS t(i, e, c) ON CONFLICT DO NOTHING");
    prepare(postgres, "ledger",
        "INSERT INTO bareloop_ledger(seq, entry, id, type, shop, customer, lines)"
        " SELECT $5::bigint + n, e, i, 'order.placed', 'main', c, l"
        " FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS t(i, e, c, l, n)");
    prepare(postgres, "lines",
        "WITH l AS (INSERT INTO bareloop_lines SELECT * FROM unnest($1::text[], $2::text[], $3::int[])"
        " RETURNING sku, quantity),"
        " s AS (SELECT sku, sum(quantity) AS q FROM l GROUP BY sku ORDER BY sku)"
        " INSERT INTO bareloop_stock SELECT sku, -q FROM s"
        " ON CONFLICT (sku) DO UPDATE SET on_hand = bareloop_stock.on_hand + EXCLUDED.on_hand");
    prepare(postgres, "position", "UPDATE bareloop_position SET entry = $1 WHERE grp = 'postgres'");
}

static void apply_to_postgres(PGconn *postgres, struct array *columns, struct order *orders, int count, int before) {
    for (int k = 0; k < COLUMNS; k++) columns[k].end = columns[k].start;
    for (int i = 0; i < count; i++) {
        add_element(&columns[ID], orders[i].id);
        add_element(&columns[ENTRY], orders[i].entry);
        add_element(&columns[CUSTOMER], orders[i].customer);
        add_element(&columns[LINES], orders[i].lines);
        for (char *rest = orders[i].lines, *sku, *quantity; next_line(&rest, &sku, &quantity);) {
            add_element(&columns[LINE_ORDER], orders[i].id);
            add_element(&columns[LINE_SKU], sku);
            add_element(&columns[LINE_QUANTITY], quantity);
        }
    }
    const char *text[COLUMNS];
    for (int k = 0; k < COLUMNS; k++) {
        strcpy(columns[k].end, "}");
        text[k] = columns[k].start;
    }
    char seq[24];
    snprintf(seq, sizeof seq, "%d", before);
    sql(postgres, "BEGIN");
    execute(postgres, "orders", 3, (const char *[]){text[ID], text[ENTRY], text[CUSTOMER]});
    execute(postgres, "ledger", 5, (const char *[]){text[ID], text[ENTRY], text[CUSTOMER], text[LINES], seq});
    execute(postgres, "lines", 3, (const char *[]){text[LINE_ORDER], text[LINE_SKU], text[LINE_QUANTITY]});
    execute(postgres, "position", 1, (const char *[]){orders[count - 1].entry});
    sql(postgres, "COMMIT");
}

static void drain_to_postgres(redisContext *redis) {
    const char *where = getenv("BARELOOP_PG");
    PGconn *postgres = PQconnectdb(where ? where : "host=127.0.0.1 user=postgres dbname=postgres");
    if (PQstatus(postgres) != CONNECTION_OK) fail("postgres", PQerrorMessage(postgres));
    create_tables(postgres);
    struct array columns[COLUMNS];
    for (int k = 0; k < COLUMNS; k++) {
        columns[k].start = malloc(1 << 20);
        if (columns[k].start == NULL) fail("postgres", "no memory");
    }
    struct order orders[BATCH];
    int total = 0, count;
    double begin = seconds();
    for (;;) {
        redisReply *reply = read_orders(redis, "postgres", orders, &count);
        if (count > 0) {
            apply_to_postgres(postgres, columns, orders, count, total);
            append_acknowledgement(redis, "postgres", orders, count);
            discard_replies(redis, 1);
        }
        freeReplyObject(reply);
        if (count == 0) break;
        total += count;
    }
    report("postgres", total, begin);
    PQfinish(postgres);
}

// MARK: -

int main(int count, char **arguments) {
    const char *stage = count > 1 ? arguments[1] : "";
    int is_stock = strcmp(stage, "stock") == 0, is_delivery = strcmp(stage, "delivery") == 0;
    int is_append = strcmp(stage, "append") == 0, is_postgres = strcmp(stage, "postgres") == 0;
    if (!is_stock && !is_delivery && !is_append && !is_postgres)
        fail("usage", "bareloop append [N] | stock | delivery | postgres");

    const char *port = getenv("BARELOOP_REDIS_PORT");
    redisContext *redis = redisConnect("127.0.0.1", port ? atoi(port) : 6379);
    if (redis == NULL || redis->err != 0) fail("redis", redis ? redis->errstr : "no memory");

    if (is_append) {
        int orders = count > 2 ? atoi(arguments[2]) : 100000;
        double begin = seconds();
        append_orders(redis, orders);
        report(stage, orders, begin);
        return 0;
    }
    // A drain always begins at the stream's beginning.
    freeReplyObject(redisCommand(redis, "XGROUP DESTROY " STREAM " %s", stage));
    freeReplyObject(redisCommand(redis, "XGROUP CREATE " STREAM " %s 0", stage));
    if (is_postgres) {
        drain_to_postgres(redis);
        return 0;
    }
    double begin = seconds();
    int total = drain_to_redis(redis, stage, is_stock ? append_stock : append_job);
    report(stage, total, begin);
    return 0;
}
