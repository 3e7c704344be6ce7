#ifndef ONEWRITE_CTHREADEDIO_H
#define ONEWRITE_CTHREADEDIO_H

#include <sys/eventfd.h>
#include <sys/prctl.h>

// What Glibc's module map leaves out.

static inline int onewrite_eventfd(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

// Names the calling thread; the kernel keeps the first 15 bytes.
static inline void onewrite_name_thread(const char *name) {
    prctl(PR_SET_NAME, name, 0, 0, 0);
}

#endif
