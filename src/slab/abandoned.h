/* SPDX-License-Identifier: MIT */
/*
 * abandoned.h: slabs that no heap owns: listed in their arena, adopted by a heap that needs one, claimed to
 * be purged, dead when empty.
 */
#ifndef FL_ABANDONED_H
#define FL_ABANDONED_H

#include "arenas.h"
#include "descriptors.h"

/*
 * Puts a slab in the caller's claim where it belongs: listed, floating or dead. Its live count is published,
 * its tag is out of the table. A dead slab's span and descriptor go to `kept`, what the caller's heap keeps,
 * unless that is NULL.
 */
void fl_slab_settle(fl_slab *slab, fl_kept *kept);

/* Settles a slab that was LISTED when the caller's push claimed it by freeing its last block. */
void fl_slab_unlist_and_settle(fl_slab *slab);

/* One purge's turn at a class: what it is for, how many purged slabs it may still look at, its number, by
 * which it claims none twice in vain, for how long what it claims has lain unused, and whether it spares huge
 * pages of a program at work. */
typedef struct fl_purge_turn {
    fl_cause cause;
    unsigned looks;
    uint8_t round;
    uint32_t unused_ms;
    bool spares;
} fl_purge_turn;

/* Claims a listed slab of a class that is worth a purge: a fresh one, the oldest first, or a purged one of
 * which enough was freed since. Returns NULL if there is none. */
fl_slab *fl_slab_claim_listed(fallow_arena *arena, unsigned size_class, fl_purge_turn *turn);

/*
 * Claim the arena's first such slab, of any class, in pages [*page, end) of the window; *page becomes where
 * to go on. For FL_CAUSE_REQUEST, those too that float and may hold an idle unit. At a limit, abandoned slabs
 * of which something was freed since they were last purged; the pages are the arena's, and a slab that
 * somebody has in hand is skipped (scarce.h). If a descriptor has just become another arena's slab with the
 * very word of the one before, it is claimed all the same: the caller settles it. Return NULL if there is
 * none.
 */
fl_slab *fl_slab_claim_in(fl_pagearena *arena, const fl_purge_turn *turn, size_t *page, size_t end);
fl_slab *fl_slab_claim_at_limit(fl_pagearena *arena, size_t *page, size_t end);

/* Returns at most how many bytes could go of the slabs in these pages that the turn would claim. A hint. */
size_t fl_slab_free_bytes_in(const fl_pagearena *arena, const fl_purge_turn *turn, size_t page, size_t end);

/* Takes a listed slab of a class for an owner: the fullest of the first few. It is then CURRENT and tagged,
 * with all that was freed in its free list. Returns NULL if there is none. */
fl_slab *fl_slab_adopt(fallow_arena *arena, unsigned size_class, uint32_t tag);

/* Takes one free block of a listed slab of a class, at a limit. The slab stays abandoned, so that frees in it
 * are seen. But it is adopted instead, as above, and no block is taken, in any case unless `sparing`; else if
 * the block before came from it too (*last), and so little of it is free that its owner can tell (slab.h:
 * watched). Returns NULL with *adopted NULL if there is none. */
void *fl_slab_take_listed(fallow_arena *arena, unsigned size_class, bool sparing, uint32_t tag,
                          fl_slab **last, fl_slab **adopted);

/* At a limit that has room: one block of a listed slab of a class, for which a decommitted unit becomes
 * Ready. The slab stays abandoned. NULL: there is none, or no memory for it. */
void *fl_slab_carve_listed(fallow_arena *arena, unsigned size_class);

#endif
