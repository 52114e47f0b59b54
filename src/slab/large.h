/* SPDX-License-Identifier: MIT */
/*
 * large.h: blocks above the largest size class: a run of pages each, with a descriptor, owned by nobody.
 *
 * The table has entries for the first MiB of a run; the rest reads as nobody's, so that a block of a GiB
 * costs no more bookkeeping than one of a MiB.
 */
#ifndef FL_LARGE_H
#define FL_LARGE_H

#include "descriptors.h"

/* alignment_pages is a power of two. NULL: out of memory. */
void *fl_large_alloc(struct fallow_arena *arena, fl_kept *kept, size_t bytes, size_t alignment_pages);

/* The same; *zeroed says whether all of it reads as zero already. */
void *fl_large_alloc_known(struct fallow_arena *arena, fl_kept *kept, size_t bytes, size_t alignment_pages,
                           bool *zeroed);

/* All of a block that nobody uses yet reads as zero afterwards, and has no memory behind it. False: the system does not do that for
 * all of it. */
bool fl_large_renew(void *block);

/* kept: of the freeing thread's heap, if that is of the block's arena; else NULL. Stops the process if the block is not the start of the run, or was freed meanwhile. */
void fl_large_free(fl_kept *kept, fl_slab *run, void *block);

/* The same for who tells the driver himself, or may not. */
void fl_large_give(fl_kept *kept, fl_slab *run, void *block);

/* A longer block with the same contents, in place of a run: its pages are moved there, not their bytes, where the system
 * can and the run is of a MiB at least. NULL: out of memory, and the run is as it was. */
void *fl_large_move(struct fallow_arena *arena, fl_kept *kept, fl_slab *run, size_t bytes);

/* Makes it longer or shorter where it is; false where that cannot be. */
bool fl_large_resize(fl_slab *run, size_t bytes);

#endif
