/* SPDX-License-Identifier: MIT */
/*
 * units.h: OS pages inside a slab, from Prepared to Ready and back. What a new slab has not used yet is
 * decommitted (Prepared): its units become Ready as its blocks are carved, and count for limits from then on,
 * until they are purged.
 *
 *     units   │  0  │  1  │  2  │  3  │     a unit is an OS page; more in slabs of more than 64
 *     blocks  │ a │ b │ c │ d │ e │ f │   a, f live: units 1 and 2 hold no part of them and go;
 *                                         b to e touch them and are in no list until these are Ready again
 *
 * Only the holder of a slab's claim decommits units; the owner makes them Ready again.
 *
 * In the hardened build the last unit of some slabs is a guard page: decommitted from the slab's beginning to
 * its end, touched by no block, and inaccessible. So it counts for no limit, takes no memory, and purges pass
 * it by.
 */
#ifndef FL_UNITS_H
#define FL_UNITS_H

#include "../arena/pagearena.h"
#include "slab.h"

/* Returns whether decommitted units lie below what is carved. */
bool fl_slab_has_holes(const fl_slab *slab);

/* Returns whether its next block can be carved only with a unit that is decommitted. */
bool fl_slab_needs_memory(const fl_slab *slab);

/* Makes the decommitted units of some blocks Ready, and puts all blocks that this makes whole into the free
 * list. Returns false if there are none, or no memory, like fl_slab_carve. */
bool fl_slab_carve_decommitted(fl_slab *slab, bool heed_soft, fl_shortage *shortage);

/* Makes all units Ready that the next so many blocks to be carved touch, and, if limits leave room, a few
 * more after them; moves no block. Returns false if there is no memory; what became Ready stays so. */
bool fl_slab_make_ready(fl_slab *slab, uint32_t blocks, bool heed_soft, fl_shortage *shortage);

/*
 * For the end of a slab with nothing live: makes each of its pages Ready or Prepared as a whole; *prepared
 * gets a bit for each that is Prepared. Returns false if the system refuses that (Windows' commit, locked
 * memory); what is left is a slab with all of its blocks free, as good as before.
 */
bool fl_slab_level(fl_slab *slab, uint64_t *prepared);

/* Hardened: puts a guard page behind the blocks of a new slab of the process's arena, of one in
 * FL_GUARDED_ONCE_IN by chance, if the system can; there is then room for fewer blocks. Not where huge pages
 * are to be expected, which would be split. */
#define FL_GUARDED_ONCE_IN 16u
void fl_slab_guard(fl_slab *slab);

/* Hardened: returns whether an address of a slab lies in its guard page. */
bool fl_slab_is_guard(const fl_slab *slab, const char *address);

/* Hardened: makes the guard page accessible, for the slab's end. Returns false if the system refuses, true if
 * there is none. */
bool fl_slab_unguard(fl_slab *slab);

/* Takes the lowest run off a mask of units that lies in one region, as a range of memory. */
osmem_range fl_units_take_range(const fl_slab *slab, uint64_t *units);

/* Puts blocks into the free list that touch units which have come back, or did not go, and nothing
 * decommitted: the lowest first. */
void fl_units_free_blocks(fl_slab *slab, uint64_t units);

/* Makes the free list anew: of the blocks with a bit, the lowest first. */
void fl_slab_relink(fl_slab *slab, const uint64_t *free);

#endif
