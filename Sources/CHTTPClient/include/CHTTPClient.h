#pragma once

#include <stdbool.h>
#include <stddef.h>

// What Swift can't call of libcurl: variadic functions, and callbacks with C's types.

typedef struct ow_http ow_http;

typedef struct {
    const char *url;
    const char *ca_file;          // NULL for the system's
    bool allows_private;          // addresses of private networks and of this machine
    long connect_timeout_ms;
} ow_http_configuration;

typedef struct {
    long status;                  // of HTTP; 0 without an answer
    int error;                    // CURLcode; 0 when there is an answer
    bool is_address_refused;      // it resolved to an address that isn't allowed
    bool was_sent;                // the request may have reached the server
    char message[256];            // libcurl's, about the error
    char address[64];             // the one that was refused
    char retry_after[64];         // the header's value; empty without one
    char body[513];               // the beginning of the answer's
} ow_http_result;

// Makes a handle for one thread at a time; NULL without memory. What is configured is copied.
ow_http *ow_http_new(ow_http_configuration configuration);
void ow_http_free(ow_http *client);

// Posts a body. Headers are lines "Name: value", the last one NULL. Redirects are not followed.
void ow_http_post(ow_http *client, const char *body, size_t length, const char *const *headers, long timeout_ms,
                  ow_http_result *result);

// Connects, TLS too, and sends nothing.
void ow_http_connect(ow_http *client, long timeout_ms, ow_http_result *result);

// Whether an address, as text, is of a private network, of this machine, or of no host at all.
bool ow_http_is_private(const char *address);

// Of the libcurl that is loaded, such as "7.88.1".
const char *ow_http_library_version(void);
