#ifndef ONEWRITE_CTHREADEDIO_H
#define ONEWRITE_CTHREADEDIO_H

#include <spawn.h>
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

// Lets the calling thread's sleeps end on time, not up to 50 µs later.
static inline void onewrite_wake_on_time(void) {
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

// Closes every descriptor from `first` on in a child that is being spawned. Declared here as glibc (2.34) does behind
// _GNU_SOURCE, which a header of a Swift module can't set: system structs would differ from the Glibc module's.
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *, int);
static inline int onewrite_spawn_closes_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

#endif
