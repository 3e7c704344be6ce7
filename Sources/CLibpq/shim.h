#ifndef ONEWRITE_CLIBPQ_SHIM_H
#define ONEWRITE_CLIBPQ_SHIM_H

#include <libpq-fe.h>

#endif
