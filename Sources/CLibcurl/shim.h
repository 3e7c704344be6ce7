#ifndef ONEWRITE_CLIBCURL_SHIM_H
#define ONEWRITE_CLIBCURL_SHIM_H

#include <curl/curl.h>

#endif
