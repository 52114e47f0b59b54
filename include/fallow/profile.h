/* SPDX-License-Identifier: MIT */
/*
 * profile.h: which calls hold memory: a sample of the allocations of all arenas, by bytes, with the calls
 * that led to each.
 *
 * On average, one allocated byte in mean_bytes is sampled, and stands for as many. What the profile says of a
 * site is thus an estimate without bias, whose error falls with the number of samples: 7 % with 200. A
 * sampled block lies on pages of its own, at least 16 KiB, which count in its arena; where a hard limit
 * leaves no room for them, the block is not sampled. While the profile is on, each allocation takes some 10
 * ns more; while it is off, nothing. Blocks sampled before are followed until they are freed.
 *
 * The calls are found by frame pointers, which code compiled with -fno-omit-frame-pointer has. Without them,
 * the profile has the function that called malloc, and its callers as far as the chain holds. `fallow
 * profile` does all this from outside, and reads what is written here; with --unwind it needs no frame
 * pointers.
 *
 * Threads: any, at any time.
 */
#ifndef FALLOW_PROFILE_H
#define FALLOW_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FALLOW_PROFILE_MEAN_BYTES ((size_t)512 << 10) /* a good one for servers */

/* Samples what is allocated from here on. mean_bytes is rounded down to a power of two, of 1 TiB at most; if
 * the profile is on already, this is its mean from here on. Returns false with errno EINVAL if mean_bytes is
 * 0; ENOMEM if there is no heap; ENOTSUP in libfallow-malloc-hardened, which does not sample. */
FALLOW_API bool fallow_profile_start(size_t mean_bytes);

/* Stops sampling. */
FALLOW_API void fallow_profile_stop(void);

/* Writes all that is known to a file descriptor, as text that `fallow profile FILE` reads, with the process's
 * mappings. Allocates nothing; other threads go on meanwhile. Pools are not sampled: their memory is not in
 * it. Returns false with the errno of write(2) (EBADF, ENOSPC, EPIPE; EAGAIN of a descriptor that does not
 * block), or of opening /proc/self/maps; part of the text may have been written by then. */
FALLOW_API bool fallow_profile_write(int descriptor);

#ifdef __cplusplus
}
#endif
#endif
