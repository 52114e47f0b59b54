/* SPDX-License-Identifier: MIT */
/*
 * malloc.h: what libfallow-malloc offers besides malloc's own family (which <stdlib.h> and <malloc.h> declare). A program that
 * is only preloaded does not need it. Everything in the other headers is in libfallow-malloc as well.
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
 * Sets an option as FALLOW_OPTIONS="name:value" does, from now on. `fallow options` lists them. False: the name or the value
 * is wrong, which is reported on standard error with what is accepted; nothing has changed.
 */
FALLOW_API bool fallow_option_set(const char *name, const char *value);

/* C23's, for C libraries that do not declare them: free with the size, and the alignment, that were asked for. A checking
 * build (-Dchecks=1) stops the process where they are wrong; else they are not looked at. NULL does nothing. */
FALLOW_API void free_sized(void *block, size_t bytes);
FALLOW_API void free_aligned_sized(void *block, size_t alignment, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
