#ifndef ONEWRITE_CLIBSSL_SHIM_H
#define ONEWRITE_CLIBSSL_SHIM_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// A key that wants a passphrase is refused; OpenSSL would ask for it at the terminal.
static int onewrite_tls_no_passphrase(char *text, int size, int is_written, void *context) {
    (void)text, (void)size, (void)is_written, (void)context;
    return -1;
}

// Macros and wide constants, which Swift doesn't see: what every connection is made with. NULL when memory ran out.
static inline SSL_CTX *onewrite_tls_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) return NULL;
    if (!SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION)) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    // A record at a time, from a buffer that may have grown, and moved, since the socket was full.
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // Some records with one call to the system, instead of two calls a record.
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 64 << 10);
    SSL_CTX_set_default_passwd_cb(context, onewrite_tls_no_passphrase);
    return context;
}

// Has the server's certificate looked up in these lists of revoked ones; 0 when the file holds none.
static inline int onewrite_tls_load_revoked(SSL_CTX *context, const char *path) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) <= 0) return 0;
    return X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
}

// What the server is asked for, where it has several certificates.
static inline int onewrite_tls_ask_for(SSL *session, const char *name) {
    return (int)SSL_set_tlsext_host_name(session, name);
}

// Which name, or address, the certificate must be for; an address is told by its form. 0 when memory ran out.
static inline int onewrite_tls_require_name(SSL *session, const char *name, int is_address) {
    X509_VERIFY_PARAM *parameters = SSL_get0_param(session);
    if (is_address) return X509_VERIFY_PARAM_set1_ip_asc(parameters, name);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(parameters, name, 0);
}

#endif
