/* SPDX-License-Identifier: MIT */
/*
 * growth.h: how chunks of an arena's regions become mapped, as their pages are needed: from None, or Reserved, to Prepared.
 *
 * A step of growth is one system call: it marks its chunks as growing, lets go of the arena's lock, asks the system, and
 * publishes what came of it. Who is granted pages, or returns some, does not wait for it. One thread at a time grows in an
 * arena: it holds the ground lock all the while, so that no region leaves meanwhile and fork finds none half-way.
 *
 * Steps double with what the arena has mapped, from 128 KiB to 4 MiB: an arena of one block costs no more commit charge than
 * that, and a large one no more than a call for 4 MiB. A run that needs more is one step all the same.
 */
#ifndef FL_GROWTH_H
#define FL_GROWTH_H

#include "pagearena.h"

/* Is all of a run of pages mapped? Under the arena's lock. */
bool fl_growth_is_done(size_t page, size_t pages);

/*
 * One step towards a run of free pages of the arena that is not mapped in full; where all of it can be had, and some beyond.
 * OSMEM_OK, or OSMEM_TAKEN (somebody else sits in a chunk, which counts as in use from now on): others may have been granted
 * what was free before, look again. OSMEM_NOMEM: not now. Under the ground lock and the arena's, which it lets go of in between.
 */
osmem_result fl_growth_step(fl_arena *arena, size_t page, size_t pages);

/* Does the system make huge pages of the arena's memory by itself? */
bool fl_huge_pages_come(const fl_arena *arena);

/*
 * Advice for a region that differs from its neighbours' costs two mappings, and so it does when it is taken back: the system
 * knows no way to take back what was never said. So of all regions of the process no more than these are advised after they
 * have grown; beyond, the system does as it likes. A region counts until nothing of it is mapped.
 */
#define FL_ADVISED_MAX ((size_t)4096)

/* Counted with no order: the number guards nothing. */
extern _Atomic size_t fl_advised;

/*
 * Part of these pages is about to go, or has gone: their regions are not to become whole again by huge pages. Returns mapped
 * ranges for osmem_no_huge_page, to be called without the lock: at most max, of regions that are not small yet. Under
 * the arena's lock.
 */
size_t fl_growth_make_small(const osmem_range *pages, osmem_range *mapped, size_t max);

/* Was the region made small when part of it had gone, and is all of it used again? Under the arena's lock. */
bool fl_growth_is_dense_again(const fl_region *region);

/* Advice is taken back for those regions of a run that are dense again: a system call for each, so without the lock. The run
 * was granted and nobody else knows of it yet, so that its regions stay. */
void fl_growth_leave_small(fl_arena *arena, size_t page, size_t pages);

/* Nothing of a region is mapped any more. Has what guards its chunks. */
void fl_growth_forget_advice(fl_region *region);

#endif
