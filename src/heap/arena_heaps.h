/* SPDX-License-Identifier: MIT */
/*
 * arena_heaps.h: what the heap floor adds to an arena of pages: its heaps, and its slabs that are nobody's.
 */
#ifndef FL_ARENA_HEAPS_H
#define FL_ARENA_HEAPS_H

#include "../arena/pages.h"
#include "slab.h"

struct fl_heap;

#define FL_ARENAS_MAX FL_UPKEEP_MAX /* at a time */
#define FL_IDLE_HEAPS_MAX 2         /* in an arena: for more threads that come in turn, heaps are made */

typedef struct fl_slab_list {
    fl_slab *first, *last;
} fl_slab_list;

typedef struct fallow_arena {
    fl_arena pages;
    struct fl_heap *only_heap;                 /* of an arena that one thread uses; else NULL */
    uint32_t slot;                             /* its place in every thread's directory */
    _Atomic uintptr_t idle[FL_IDLE_HEAPS_MAX]; /* heaps that are no thread's now; 0: empty. See idle.h */
    fl_lock lists_lock;                        /* the lists of slabs that nobody owns */
    fl_slab_list listed[FL_CLASS_COUNT];       /* newest first */
    fl_slab_list purged[FL_CLASS_COUNT];       /* with pages given back: taken when no other is there */
    _Atomic uint32_t listed_count;             /* in both; written under lists_lock */
    fl_lock heaps_lock;                        /* the list of heaps */
    struct fl_heap *heaps;
    struct fallow_arena *parent; /* these four: guarded by the lock of all arenas */
    struct fallow_arena *children;
    struct fallow_arena *next_sibling;
    struct fallow_arena *previous_sibling;
    fl_slab *unsettled;             /* taken from owners that were in the middle; upkeep's, as the next */
    uint32_t purge_ticks;           /* since all purged slabs have been looked at */
    uint8_t purge_round;            /* a number for each purge, so that it claims no slab twice in vain */
    struct fallow_arena *next_free; /* destroyed: descriptors of arenas are used again */
    _Atomic bool alive;             /* changes under the lock of arenas */
    char name[32];
#if FL_CHECKS >= 2
    _Atomic size_t pool_pages; /* granted to pools, of which no other book tells */
    bool forked; /* lives on in the child of a fork: what other threads had in their hands is in no book */
#endif
} fallow_arena;

/* All there ever were, by slot, living or not; and how many slots have been used. Guarded by the lock of arenas. */
extern fallow_arena *fl_arenas[FL_ARENAS_MAX];
extern uint32_t fl_arenas_used;

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
 * Claims up to max of nobody's slabs in pages [*page, end) of the window of which something was freed since they were last purged;
 * *page is then where to go on. Not every: only those that float and may hold an idle unit. Where the region or a descriptor has
 * just changed hands, a slab may be another arena's: it is to be settled.
 */
size_t fl_slabs_claim_in(bool every, size_t *page, size_t end, fl_slab **slabs, size_t max);

/* Takes a listed slab of a class for an owner: the fullest of the first few. NULL: none. The slab is
 * CURRENT then, tagged, with all that was freed in its free list. */
fl_slab *fl_slab_adopt(fallow_arena *arena, unsigned size_class, uint32_t tag);

#endif
