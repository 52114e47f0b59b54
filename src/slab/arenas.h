/* SPDX-License-Identifier: MIT */
/*
 * arenas.h: an arena of blocks: an arena of pages, its abandoned slabs, and, for the floors above, its heaps.
 * Also which arenas there are: each has a slot, for ever.
 *
 * A program holds no arena's address but a handle: the number of the arena's life, which no other arena ever
 * has, and below it the slot. So fallow can tell an arena that has ended from all that come after it, and
 * what never was an arena's from one, without looking where it points. Handles have the type of the public
 * header, which is this structure's: code that takes one for the other stops at once, as a handle is no
 * address of anything, and an address is no living arena's handle.
 */
#ifndef FL_ARENAS_H
#define FL_ARENAS_H

#include "../arena/pagearena.h"
#include "slab.h"

struct fl_heap;
struct fl_waiting;

#define FL_ARENAS_MAX FL_UPKEEP_MAX /* at a time */
#define FL_IDLE_HEAPS_MAX 2         /* in an arena: threads that come in turn beyond that make heaps */

typedef struct fl_slab_list {
    fl_slab *first, *last;
} fl_slab_list;

/* Of the floor of pools (embed/poollist.h). */
typedef struct fl_pools {
    struct fl_pool_link *newest;
    uint32_t visits; /* under way */
} fl_pools;

typedef struct fallow_arena {
    fl_pagearena pages;
    struct fl_heap *only_heap;             /* if one thread at a time uses the arena; else NULL */
    struct fl_waiting *waiting;            /* freed blocks of a guarded arena (embed/guarded.h); else NULL */
    uint32_t slot;                         /* its place in every thread's directory */
    _Atomic(struct fallow_arena *) handle; /* NULL: not shown, or ending; changes under the lock of arenas */
    _Atomic uint64_t contents; /* a number that changes when all of its contents end at once: see pool.c */
    _Atomic uintptr_t idle[FL_IDLE_HEAPS_MAX]; /* heaps of no thread at present; 0: empty. See idle.h */
    fl_lock lists_lock;                        /* guards the lists of slabs without owners */
    fl_slab_list listed[FL_CLASS_COUNT];       /* newest first */
    fl_slab_list purged[FL_CLASS_COUNT];       /* with pages given back: taken when there is no other */
    _Atomic uint32_t listed_count;             /* in both; written under lists_lock, as the next */
    _Atomic uint64_t
        at_hand[(FL_CLASS_COUNT + 63) / 64]; /* a bit for each class: a listed slab may have a block */
    fl_lock heaps_lock;                      /* guards the lists of heaps */
    struct fl_heap *heaps;
    struct fl_heap *leaving_heaps; /* whose threads are letting go of all slabs: for a fork's child */
    fl_lock pools_lock;            /* guards the list of pools */
    fl_pools pools;
    struct fallow_arena *children; /* the lock of arenas guards this, the next two, and the parent */
    struct fallow_arena *next_sibling;
    struct fallow_arena *previous_sibling;
    fl_slab *unsettled;             /* taken from owners that were in the middle; upkeep's, as is the next */
    uint32_t purge_ticks;           /* since all purged slabs have been looked at */
    uint8_t purge_round;            /* a number for each purge, by which it claims no slab twice in vain */
    struct fallow_arena *next_free; /* destroyed: arenas' descriptors are used again */
    _Atomic bool alive;             /* changes under the lock of arenas */
    char name[32];
#if FL_CHECKS >= 2
    _Atomic size_t pool_pages; /* granted to pools: in no other book */
    bool forked; /* lives on in the child of a fork: no book tells what other threads had in their hands */
#endif
} fallow_arena;

/* Counts a slab in or out of what a tick could free. */
static inline void fl_slab_count_reclaimable(const fl_slab *slab, bool more) {
    fl_pagearena_count(&slab->arena->pages.reclaimable_bytes, slab->pages << FL_PAGE_SHIFT, more);
}

/* Records whether all blocks of a slab have been handed out, and no memory of it went since: the arena counts
 * what is resident in full. Caller has the slab in hand. */
static inline void fl_slab_set_filled(fl_slab *slab, bool filled) {
    if (slab->filled == filled)
        return;
    slab->filled = filled;
    fl_pagearena_count(&slab->arena->pages.filled_bytes, slab->pages << FL_PAGE_SHIFT, filled);
}

/* All arenas there ever were, by slot, living or not; and how many slots have been used. The lock of arenas
 * guards both. */
extern fallow_arena *fl_arenas[FL_ARENAS_MAX];
extern uint32_t fl_arenas_used;

/* The process's own arena: malloc's, and that of requests which name no other. NULL until it exists. */
extern fallow_arena *fl_process_arena;

/* Makes an arena, with a slot that no other living arena has. Nobody but fork knows it before it is shown: it
 * has no handle and no upkeep. Returns NULL if there is no memory, or if there are too many. */
fallow_arena *fl_arena_new(const char *name, const osmem_backend *backend, fallow_arena *parent);

/* Gives a complete arena a handle, a place among its parent's children, and upkeep. */
void fl_arena_show(fallow_arena *arena);

/* End it in two steps, before and after all that it had goes: out of its parent's reach, and of upkeep's; its
 * descriptor to be used again. */
void fl_arena_leave(fallow_arena *arena);
void fl_arena_gone(fallow_arena *arena);

/* Returns NULL if it has none. Without the lock of arenas this is true for a moment only. */
static inline fallow_arena *fl_arena_parent(const fallow_arena *arena) {
    return (fallow_arena *)fl_pagearena_above(&arena->pages); /* its first member */
}

/*
 * Takes an arena, with all below it, to another parent (NULL: below nobody), beside whatever goes on in
 * these, except their end. REFUSED: a hard limit is in the way, and *shortage says whose. CIRCLE: the parent
 * is the arena or below it. Both change nothing.
 */
typedef enum fl_move { FL_MOVED, FL_MOVE_REFUSED, FL_MOVE_CIRCLE } fl_move;
fl_move fl_arena_set_parent(fallow_arena *arena, fallow_arena *parent, fl_shortage *shortage);

/* Has upkeep work in it again. */
void fl_arena_join(fallow_arena *arena);

/* Returns the next living arena from a slot on, and moves *slot behind it; NULL if there is none. Caller is
 * the child of a fork, or holds the lock of arenas. */
fallow_arena *fl_arena_next(uint32_t *slot);

/* The same for those that have been shown and have not left: a program may be told of them. */
fallow_arena *fl_arena_next_shown(uint32_t *slot);

/* Returns what the program calls an arena. */
static inline fallow_arena *fl_arena_handle(const fallow_arena *arena) {
    return atomic_load_explicit(&arena->handle, memory_order_relaxed);
}

/* Returns the living arena that has a handle, which is not NULL; NULL if none has. Its place in the table was
 * written before the handle existed. */
static inline fallow_arena *fl_arena_find(const fallow_arena *handle) {
    fallow_arena *arena = fl_arenas[(uintptr_t)handle % FL_ARENAS_MAX];
    return arena && fl_arena_handle(arena) == handle ? arena : NULL;
}

/* The same, but stops the process if there is none: `doing` says what was asked ("reset of arena"). */
fallow_arena *fl_arena_at(const fallow_arena *handle, const char *doing);

/* Marks the end of all that it had, at once. */
void fl_arena_renew_contents(fallow_arena *arena);

#endif
