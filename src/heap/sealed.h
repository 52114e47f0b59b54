/* SPDX-License-Identifier: MIT */
/*
 * sealed.h: the hardened build's large blocks: a run of pages with a guard page before and behind, if the
 * system has guards that split no mapping (Linux 6.13), and all of it inaccessible once it is freed.
 *
 *     run->start      the block                                        end of the run
 *       ├── guard ──────┼── contents ── the fill ── end word ──┼── guard ──┤
 *
 * An alignment above a page leaves no room for the guard before. Without guards, the end word still stands
 * behind the contents.
 *
 * Threads: the caller is whoever has the block; for fl_sealed_give, also whoever has taken the run out of a
 * quarantine.
 */
#ifndef FL_SEALED_H
#define FL_SEALED_H

#include "heap.h"

#if FL_HARDENED

/* alignment is a power of two, at least 16. zeroed: all zero. Returns NULL if out of memory. */
void *fl_sealed_alloc(fl_heap *heap, size_t alignment, size_t bytes, bool zeroed);

/* Stops the process unless this is the start of a live block. */
void fl_sealed_check(const fl_slab *run, const void *block, const char *doing);
size_t fl_sealed_bytes(const fl_slab *run, const void *block);
unsigned fl_sealed_alignment_shift(const fl_slab *run);

/* Makes all of a block inaccessible that was checked and is to wait. Returns false if the system cannot. */
bool fl_sealed_close(fl_slab *run);

/* Makes a block longer or shorter, and returns where it then lies. Returns NULL, and leaves it as it was, if
 * it has to be copied. */
void *fl_sealed_resize(fl_heap *heap, fl_slab *run, void *block, size_t bytes);

/* Returns what an access to an address in a run is, that faulted: to a guard, or to what waits; NULL:
 * neither. Any thread may call it at any time, and may be told wrong. */
const char *fl_sealed_touched(const fl_slab *run, const char *address);

/* Frees a block that was checked, or has waited; the caller then tells the driver. */
void fl_sealed_give(fl_kept *kept, fl_slab *run);

#endif
#endif
