#ifndef ONEWRITE_FUZZ_DRIVER_H
#define ONEWRITE_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>

// Gives control to libFuzzer, which calls `run` with one input after the other, and returns its exit code; -1 in a build
// without it. LLVM: https://llvm.org/docs/LibFuzzer.html
int onewrite_fuzz(int argc, char **argv, int (*run)(const uint8_t *bytes, size_t count));

#endif
