/* SPDX-License-Identifier: MIT */
/*
 * units.h: OS pages inside a slab, from Prepared to Ready and back. What a new slab has not used yet is decommitted (Prepared): its units
 * become Ready as its blocks are carved, and count for limits from then on, until they are purged.
 *
 *     units   │  0  │  1  │  2  │  3  │     a unit is an OS page; more in slabs of more than 64
 *     blocks  │ a │ b │ c │ d │ e │ f │   a, f live: units 1 and 2 hold no part of them and go;
 *                                         b to e touch them and are in no list until these are Ready again
 *
 * Only who holds a slab's claim decommits units; its owner calls them back.
 */
#ifndef FL_UNITS_H
#define FL_UNITS_H

#include "../arena/pagearena.h"
#include "slab.h"

/* Are decommitted units below what is carved? */
bool fl_slab_has_holes(const fl_slab *slab);

/* Can its next block be carved only with a unit that is decommitted? */
bool fl_slab_needs_memory(const fl_slab *slab);

/* Makes the units of some blocks Ready that are decommitted, and puts all blocks that this makes whole into the free list.
 * False: there are none, or no memory, as fl_slab_carve. */
bool fl_slab_carve_decommitted(fl_slab *slab, bool heed_soft, fl_shortage *shortage);

/* All units Ready that the next so many blocks touch, which are not carved yet, and where limits leave room a few more after
 * them; no block is moved. False: no memory; nothing has changed. */
bool fl_slab_make_ready(fl_slab *slab, uint32_t blocks, bool heed_soft, fl_shortage *shortage);

/*
 * For the end of a slab with nothing live: each of its pages Ready or Prepared as a whole; *prepared gets a bit for each that
 * is the latter. Where the system refuses that (Windows' commit, locked memory): false; what is left is a slab with all of its
 * blocks free, as good as before.
 */
bool fl_slab_level(fl_slab *slab, uint64_t *prepared);

/* Takes the lowest run off a mask of units that lies in one region, as a range of memory. */
osmem_range fl_units_take_range(const fl_slab *slab, uint64_t *units);

/* Units have come back, or did not go: blocks that touch them, and nothing that is decommitted, go into the free list, the lowest first. */
void fl_units_free_blocks(fl_slab *slab, uint64_t units);

/* The free list anew: of the blocks with a bit, the lowest first. */
void fl_slab_relink(fl_slab *slab, const uint64_t *free);

#endif
