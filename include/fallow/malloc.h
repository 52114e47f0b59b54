/* SPDX-License-Identifier: MIT */
/*
 * malloc.h: what libfallow-malloc offers beside malloc's own family, which <stdlib.h> and <malloc.h> declare.
 * A program run with the library preloaded does not need it. libfallow-malloc has everything in the other
 * headers as well.
 *
 * Threads: every function may be called from any thread.
 */
#ifndef FALLOW_MALLOC_H
#define FALLOW_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sets an option from now on, as FALLOW_OPTIONS="name:value" does at start. `fallow options` lists them. If
 * the name or the value is wrong, it reports on standard error what is accepted, changes nothing and returns
 * false.
 */
FALLOW_API bool fallow_option_set(const char *name, const char *value);

/* C23's, for C libraries that do not declare them: free a block, given the size and the alignment that were
 * asked for. A checking build (-Dchecks=1) stops the process if they are wrong; other builds ignore them.
 * NULL does nothing. */
FALLOW_API void free_sized(void *block, size_t bytes);
FALLOW_API void free_aligned_sized(void *block, size_t alignment, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
