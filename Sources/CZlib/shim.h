#ifndef ONEWRITE_CZLIB_SHIM_H
#define ONEWRITE_CZLIB_SHIM_H

#include <zlib.h>

#endif
