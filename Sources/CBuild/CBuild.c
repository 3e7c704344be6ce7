#include "CBuild.h"

#include <stddef.h>

const char *ow_build_commit(void) {
#ifdef ONEWRITE_COMMIT
    return ONEWRITE_COMMIT;
#else
    return NULL;
#endif
}
