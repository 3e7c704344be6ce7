#ifndef ONEWRITE_CHIREDIS_SHIM_H
#define ONEWRITE_CHIREDIS_SHIM_H

// One source for hiredis 0.14 and 1.x: structs are never copied or sized in Swift, so their layout may differ.
#include <hiredis/hiredis.h>

#endif
