/* SPDX-License-Identifier: MIT */
/*
 * sealed.h: the hardened build's large blocks: a run of pages with a guard page before and behind, where the system has guards that
 * split no mapping (Linux 6.13), and all of it inaccessible once it is freed.
 *
 *     run->start      the block                                        end of the run
 *       ├── guard ──────┼── contents ── the fill ── end word ──┼── guard ──┤
 *
 * An alignment above a page leaves no room for the guard before. Without guards, the end word stands behind the contents all the same.
 *
 * Threads: as the run's block is who calls; fl_sealed_give is for who has taken the run out of a quarantine.
 */
#ifndef FL_SEALED_H
#define FL_SEALED_H

#include "heap.h"

#if FL_HARDENED

/* alignment is a power of two, 16 at least. zeroed: all zero. NULL: out of memory. */
void *fl_sealed_alloc(fl_heap *heap, size_t alignment, size_t bytes, bool zeroed);

/* Stops the process, if it is not the start of a live block. */
void fl_sealed_check(const fl_slab *run, const void *block, const char *doing);
size_t fl_sealed_bytes(const fl_slab *run, const void *block);
unsigned fl_sealed_alignment_shift(const fl_slab *run);

/* Makes all of a block inaccessible that was checked, and is to wait. False: the system cannot. */
bool fl_sealed_close(fl_slab *run);

/* Makes it longer or shorter: the block, or where it lies now; NULL: it is as it was, and has to be copied. */
void *fl_sealed_resize(fl_heap *heap, fl_slab *run, void *block, size_t bytes);

/* Frees a block that was checked, or has waited; the driver is to be told. */
void fl_sealed_give(fl_kept *kept, fl_slab *run);

#endif
#endif
