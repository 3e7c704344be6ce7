#include "CHTTPClient.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

struct ow_http {
    CURL *curl;
    char *url;
    char *ca_file;
    bool allows_private;
    long connect_timeout_ms;
    // The exchange under way.
    ow_http_result *result;
    size_t body_length;
};

static pthread_once_t is_initialised = PTHREAD_ONCE_INIT;
static void initialise(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

const char *ow_http_library_version(void) { return curl_version_info(CURLVERSION_NOW)->version; }

static bool is_private_v4(uint32_t a) {
    static const struct { uint32_t network, mask; } ranges[] = {
        {0x00000000, 0xFF000000}, {0x0A000000, 0xFF000000}, {0x64400000, 0xFFC00000}, {0x7F000000, 0xFF000000},
        {0xA9FE0000, 0xFFFF0000}, {0xAC100000, 0xFFF00000}, {0xC0000000, 0xFFFFFF00}, {0xC0A80000, 0xFFFF0000},
        {0xC6120000, 0xFFFE0000}, {0xE0000000, 0xE0000000},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if ((a & ranges[i].mask) == ranges[i].network) return true;
    return false;
}

static uint32_t v4_at(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_private_v6(const uint8_t *a) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    static const uint8_t translated[12] = {0x00, 0x64, 0xFF, 0x9B};
    static const uint8_t zero[12] = {0};
    if (!memcmp(a, mapped, 12) || !memcmp(a, translated, 12)) return is_private_v4(v4_at(a + 12));
    if (!memcmp(a, zero, 12)) return true;                     // ::, ::1, and IPv4 as once was meant
    if (a[0] == 0x20 && a[1] == 0x02) return is_private_v4(v4_at(a + 2));
    return (a[0] & 0xFE) == 0xFC || (a[0] == 0xFE && (a[1] & 0x80)) || a[0] == 0xFF;
}

static bool is_private(const struct sockaddr *address) {
    switch (address->sa_family) {
    case AF_INET: return is_private_v4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
    case AF_INET6: return is_private_v6(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
    default: return true;
    }
}

bool ow_http_is_private(const char *text) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1) return is_private_v4(ntohl(v4.s_addr));
    if (inet_pton(AF_INET6, text, &v6) == 1) return is_private_v6(v6.s6_addr);
    return true;
}

// Looks at each address before it is connected to: a name may lead elsewhere than when it was checked.
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    ow_http *client = context;
    (void)purpose;
    if (!client->allows_private && is_private(&address->addr)) {
        const void *bytes = address->family == AF_INET
            ? (const void *)&((const struct sockaddr_in *)&address->addr)->sin_addr
            : (const void *)&((const struct sockaddr_in6 *)&address->addr)->sin6_addr;
        client->result->is_address_refused = true;
        if (!inet_ntop(address->family, bytes, client->result->address, sizeof client->result->address))
            client->result->address[0] = 0;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
    ow_http *client = context;
    size_t room = sizeof client->result->body - 1 - client->body_length, length = size * count;
    memcpy(client->result->body + client->body_length, bytes, length < room ? length : room);
    client->body_length += length < room ? length : room;
    return length;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context) {
    static const char name[] = "retry-after:";
    ow_http *client = context;
    size_t length = size * count, prefix = sizeof name - 1;
    if (length > prefix && !strncasecmp(bytes, name, prefix)) {
        const char *value = bytes + prefix, *end = bytes + length;
        while (value < end && (*value == ' ' || *value == '\t')) value++;
        while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ')) end--;
        if ((size_t)(end - value) < sizeof client->result->retry_after) {
            memcpy(client->result->retry_after, value, end - value);
            client->result->retry_after[end - value] = 0;
        }
    }
    return length;
}

ow_http *ow_http_new(ow_http_configuration configuration) {
    pthread_once(&is_initialised, initialise);
    ow_http *client = calloc(1, sizeof *client);
    if (!client) return NULL;
    client->curl = curl_easy_init();
    client->url = strdup(configuration.url);
    client->ca_file = configuration.ca_file ? strdup(configuration.ca_file) : NULL;
    client->allows_private = configuration.allows_private;
    client->connect_timeout_ms = configuration.connect_timeout_ms;
    if (client->curl && client->url && (client->ca_file || !configuration.ca_file)) return client;
    ow_http_free(client);
    return NULL;
}

void ow_http_free(ow_http *client) {
    if (!client) return;
    curl_easy_cleanup(client->curl);
    free(client->url);
    free(client->ca_file);
    free(client);
}

// Everything anew but the connections, which curl_easy_reset keeps.
static void prepare(ow_http *client, long timeout_ms, ow_http_result *result) {
    CURL *curl = client->curl;
    memset(result, 0, sizeof *result);
    client->result = result;
    client->body_length = 0;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, client->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, client->connect_timeout_ms);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, result->message);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, client);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    if (client->ca_file) curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
}

static void perform(ow_http *client) {
    ow_http_result *result = client->result;
    result->error = curl_easy_perform(client->curl);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &result->status);
    curl_off_t sent = 0;
    long request_size = 0;
    curl_easy_getinfo(client->curl, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(client->curl, CURLINFO_REQUEST_SIZE, &request_size);
    result->was_sent = sent > 0 || request_size > 0;
    if (result->error && !result->message[0])
        strncpy(result->message, curl_easy_strerror(result->error), sizeof result->message - 1);
    client->result = NULL;
}

void ow_http_post(ow_http *client, const char *body, size_t length, const char *const *headers, long timeout_ms,
                  ow_http_result *result) {
    prepare(client, timeout_ms, result);
    struct curl_slist *list = NULL;
    for (; *headers; headers++) {
        struct curl_slist *longer = curl_slist_append(list, *headers);
        if (!longer) {
            curl_slist_free_all(list);
            result->error = CURLE_OUT_OF_MEMORY;
            strcpy(result->message, "out of memory");
            return;
        }
        list = longer;
    }
    curl_easy_setopt(client->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, list);
    perform(client);
    curl_slist_free_all(list);
}

void ow_http_connect(ow_http *client, long timeout_ms, ow_http_result *result) {
    prepare(client, timeout_ms, result);
    curl_easy_setopt(client->curl, CURLOPT_CONNECT_ONLY, 1L);
    perform(client);
}
