/* SPDX-License-Identifier: MIT */
/*
 * abandoned.h: slabs that no heap owns: listed in their arena, adopted by who needs one, claimed to be purged, dead when empty.
 */
#ifndef FL_ABANDONED_H
#define FL_ABANDONED_H

#include "arenas.h"
#include "descriptors.h"

/*
 * Finds the last place of a slab in the caller's claim: listed, floating or dead. Its live count is
 * published, its tag is out of the table. kept: what the caller's heap keeps, or NULL: a dead one's span and descriptor go there.
 */
void fl_slab_settle(fl_slab *slab, fl_kept *kept);

/* The slab was LISTED, and the caller's push claimed it by freeing its last block. */
void fl_slab_unlist_and_settle(fl_slab *slab);

/* One purge's turn at a class: at how many purged slabs it still looks, and its number, so that it claims none twice in vain. */
typedef struct fl_purge_turn {
    unsigned looks;
    uint8_t round;
} fl_purge_turn;

/*
 * Claims up to max listed slabs of a class that are worth a purge: fresh ones from the oldest on (for FL_CAUSE_GOAL,
 * after ten seconds in the list), purged ones of which enough was freed since. Returns how many.
 */
size_t fl_slabs_claim_listed(fallow_arena *arena, unsigned size_class, fl_cause cause, fl_purge_turn *turn,
                             fl_slab **slabs, size_t max);

/*
 * Claims up to max of abandoned slabs in pages [*page, end) of the window of which something was freed since they were last purged;
 * *page is then where to go on. Not every: only those that float and may hold an idle unit. Where the region or a descriptor has
 * just changed hands, a slab may be another arena's: it is to be settled.
 */
size_t fl_slabs_claim_in(bool every, size_t *page, size_t end, fl_slab **slabs, size_t max);

/* Takes a listed slab of a class for an owner: the fullest of the first few. NULL: none. The slab is
 * CURRENT then, tagged, with all that was freed in its free list. */
fl_slab *fl_slab_adopt(fallow_arena *arena, unsigned size_class, uint32_t tag);

/* At a limit: one block that is free in a listed slab of a class. The slab stays abandoned, so that what is
 * freed in it is seen; but where so little is free of it that its owner can tell (slab.h: watched), or
 * always unless sparing, it is *adopted, as above, and the block is not taken. NULL, and none adopted: there
 * is none. */
void *fl_slab_take_listed(fallow_arena *arena, unsigned size_class, bool sparing, uint32_t tag,
                          fl_slab **adopted);

#endif
