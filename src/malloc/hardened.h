/* SPDX-License-Identifier: MIT */
/*
 * hardened.h: what malloc and its family do in libfallow-malloc-hardened: the heap's blocks, each with an end word (hardening.h) that
 * is looked at whenever the block is freed, resized or measured, and when blocks beside it are handed out or freed; large ones between
 * guards (sealed.h); freed ones in quarantine (quarantine.h). The heap below knows of none of it but the order in which it carves.
 *
 * As malloc.c: errno is ENOMEM after a failure and untouched otherwise. A misused block stops the process with one line.
 */
#ifndef FL_HARDENED_H
#define FL_HARDENED_H

#include "../slab/hardening.h"

void *fl_hardened_alloc(size_t bytes);
void *fl_hardened_alloc_zeroed(size_t bytes);
void *fl_hardened_alloc_aligned(size_t alignment, size_t bytes);
void fl_hardened_free(void *block);

/* Of a block, to so many bytes, of which there are some. */
void *fl_hardened_resize(void *block, size_t bytes);

/* How many were asked for: no more may be used. */
size_t fl_hardened_bytes(const void *block);

/* Is what is said of a block true, to the byte? alignment 1: nothing is said. */
void fl_hardened_check_size(const void *block, size_t alignment, size_t bytes);
void fl_hardened_check_alignment(const void *block, size_t alignment);

#endif
