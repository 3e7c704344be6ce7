#ifndef ONEWRITE_CLIBCRYPTO_SHIM_H
#define ONEWRITE_CLIBCRYPTO_SHIM_H

#include <openssl/evp.h>
#include <openssl/hmac.h>

#endif
