/* SPDX-License-Identifier: MIT */
/*
 * hardened.h: what malloc and its family do in libfallow-malloc-hardened. They use the heap's blocks, each
 * with an end word (hardening.h) that is checked whenever the block is freed, resized or measured, and when
 * blocks beside it are handed out or freed. Large blocks lie between guards (sealed.h); freed ones wait in
 * quarantine (quarantine.h). The heap below knows nothing of this but the order in which it carves.
 *
 * As in malloc.c, errno is ENOMEM after a failure and untouched otherwise. A misused block stops the process
 * with one line.
 */
#ifndef FL_HARDENED_H
#define FL_HARDENED_H

#include "../slab/hardening.h"

void *fl_hardened_alloc(size_t bytes);
void *fl_hardened_alloc_zeroed(size_t bytes);
void *fl_hardened_alloc_aligned(size_t alignment, size_t bytes);
void fl_hardened_free(void *block);

/* Resizes a block, to at least one byte. */
void *fl_hardened_resize(void *block, size_t bytes);

/* Returns how many bytes were asked for: no more may be used. */
size_t fl_hardened_bytes(const void *block);

/* Stop the process unless what is said of a block is true, to the byte. alignment 1: nothing is said. */
void fl_hardened_check_size(const void *block, size_t alignment, size_t bytes);
void fl_hardened_check_alignment(const void *block, size_t alignment);

#endif
