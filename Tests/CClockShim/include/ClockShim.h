// A wall clock that is off by ONEWRITE_CLOCK_OFFSET seconds, for the process that this library is preloaded into.
// ld.so(8), LD_PRELOAD: https://man7.org/linux/man-pages/man8/ld.so.8.html
