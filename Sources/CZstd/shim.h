#ifndef ONEWRITE_CZSTD_SHIM_H
#define ONEWRITE_CZSTD_SHIM_H

#include <zstd.h>

#endif
