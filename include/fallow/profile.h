/* SPDX-License-Identifier: MIT */
/*
 * profile.h: which calls hold memory: a sample of the allocations of all arenas, by bytes, with the calls that led to each.
 *
 * One point in mean_bytes of allocated bytes is sampled on the mean, and stands for as many: what the profile says of a site is an
 * estimate without a bias, whose error falls with what there is: of 200 samples, 7 %. A sampled block lies on pages of its own,
 * 16 KiB at least, which count with its arena; where a hard limit leaves no room for them, the block is no sample. While it is on, each
 * allocation takes some 10 ns more; while it is off, nothing: what was sampled before is followed until it is freed.
 *
 * Calls are found by frame pointers: those of code compiled with -fno-omit-frame-pointer. Without them, the function that called malloc is
 * there, and its callers as far as the chain holds. `fallow profile` does all this from outside, and reads what is written here.
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

/* On: what is allocated from here on. mean_bytes is rounded down to a power of two, of 1 TiB at most; if it is on already, this is
 * the mean from here on. False with errno EINVAL: mean_bytes is 0; ENOMEM: there is no heap;
 * ENOTSUP: libfallow-malloc-hardened does not sample. */
FALLOW_API bool fallow_profile_start(size_t mean_bytes);

/* Off: nothing more is sampled. */
FALLOW_API void fallow_profile_stop(void);

/* Writes all that is known to a file descriptor, as text that `fallow profile FILE` reads, with the process's mappings. Allocates
 * nothing; other threads go on meanwhile. Returns false and sets errno as write(2) does (EBADF, ENOSPC, EPIPE; EAGAIN
 * of a descriptor that does not block), or as opening /proc/self/maps does; part of the text may have been written then. Pools are not
 * sampled: their memory is not in it. */
FALLOW_API bool fallow_profile_write(int descriptor);

#ifdef __cplusplus
}
#endif
#endif
