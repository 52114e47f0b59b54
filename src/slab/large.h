/* SPDX-License-Identifier: MIT */
/*
 * large.h: blocks above the largest size class. Each is a run of pages with a descriptor, and no heap owns
 * it.
 *
 * The page map has entries for the first MiB of a run; the rest reads as nobody's, so that a block of a GiB
 * needs no more bookkeeping than one of a MiB.
 */
#ifndef FL_LARGE_H
#define FL_LARGE_H

#include "descriptors.h"

/* Returns a block; alignment_pages is a power of two. Returns NULL if out of memory. */
void *fl_large_alloc(struct fallow_arena *arena, fl_kept *kept, size_t bytes, size_t alignment_pages);

/* The same; sets *zeroed if all of it already reads as zero. */
void *fl_large_alloc_known(struct fallow_arena *arena, fl_kept *kept, size_t bytes, size_t alignment_pages,
                           bool *zeroed);

/* Makes all of a block that nobody uses yet read as zero with no memory behind it. Returns false if the
 * system does not do that for all of it. */
bool fl_large_renew(void *block);

/* Frees a block. `kept` is the freeing thread's heap's, if that heap is of the block's arena, else NULL.
 * Stops the process if `block` is not the start of the run, or was freed meanwhile. */
void fl_large_free(fl_kept *kept, fl_slab *run, void *block);

/* The same for a caller that informs the driver itself, or must not. */
void fl_large_give(fl_kept *kept, fl_slab *run, void *block);

#if FL_HARDENED
/* Returns all pages of a freed run but the first and the last, which are nobody's for ever: the run becomes
 * the first, and the last one's descriptor is returned. Returns NULL, and leaves it as it is, if nothing lies
 * between them or there is no memory for that. */
fl_slab *fl_large_cut(fl_kept *kept, fl_slab *run);
#endif

/* Returns a longer block with the run's contents, in its place. Moves the pages instead of copying bytes if
 * the run has at least a MiB and the system can. Returns NULL, with the run as it was, if out of memory. */
void *fl_large_move(struct fallow_arena *arena, fl_kept *kept, fl_slab *run, size_t bytes);

/* Makes a run longer or shorter in place. Returns false if that is impossible. */
bool fl_large_resize(fl_slab *run, size_t bytes);

#endif
