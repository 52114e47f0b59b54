/* SPDX-License-Identifier: MIT */
/*
 * pagearena.h: an arena of pages as all files of this floor see it: what it owns, its limits, its books.
 * window.h and the comment of each field say who changes it under which lock; pages.h, growth.h, regions.h,
 * scavenge.h … what is done to it.
 */
#ifndef FL_PAGEARENA_H
#define FL_PAGEARENA_H

#include "../system/arithmetic.h"
#include "../system/lock.h"
#include "counters.h"
#include "pace.h"
#include "pagetree.h"
#include "upkeep.h"

typedef enum fl_cause {
    FL_CAUSE_GOAL,     /* more is idle than the arena's recent peak makes likely to be used again */
    FL_CAUSE_QUIET,    /* nothing goes on in the arena */
    FL_CAUSE_LIMIT,    /* a limit is in the way of a grant, or a soft one is exceeded */
    FL_CAUSE_PRESSURE, /* the system, or the container, is short of memory */
    FL_CAUSE_REQUEST,  /* the program asked for it */
    FL_CAUSE_COUNT
} fl_cause;

/* How pages are granted: flags. */
typedef enum fl_how {
    FL_FILLED_PERHAPS = 0,
    FL_FILLED = 1,    /* they will be filled, soon, from the first to the last */
    FL_HEEDS_SOFT = 2 /* a soft limit that is exceeded while pages are idle counts as a refusal */
} fl_how;

typedef enum fl_refusal {
    FL_REFUSED_NEVER,   /* it can never be made, or there is no memory for bookkeeping */
    FL_REFUSED_SOFT,    /* a soft limit, while idle pages could go first */
    FL_REFUSED_ARENA,   /* the hard limit of the arena, or of one above it */
    FL_REFUSED_PROCESS, /* the process's */
    FL_REFUSED_SYSTEM,  /* the system has no memory to map */
    FL_REFUSED_COUNT
} fl_refusal;

/* An arena's limits (SIZE_MAX: none), and whom to ask for memory at the hard one. */
typedef struct fl_limits {
    _Atomic size_t soft_bytes; /* this and the next hold for the arena and those below it together */
    _Atomic size_t hard_bytes;
    _Atomic size_t idle_pages;       /* the most idle pages */
    _Atomic bool keeps_idle;         /* idle pages go only at a limit, under pressure, or on request */
    _Atomic size_t share_bytes;      /* how much goes at the hard limit next time, if no more is wanted */
    _Atomic size_t soft_grace_bytes; /* see fl_pagearena_soft_excess */
    _Atomic uint64_t soft_graced_ns;
    _Atomic bool asks;                         /* there is a shedder to ask */
    bool (*shed)(void *context, size_t bytes); /* this and the next three: see shed.h */
    void *shed_context;
    bool (*soft_shed)(void *context, size_t bytes);
    void *soft_context;
    _Atomic bool soft_asks;         /* there is a shedder for the soft limit */
    _Atomic bool soft_crossed;      /* its limit has been, and it has not been asked since */
    _Atomic bool soft_asked;        /* it has been asked, and nothing has gone back since */
    _Atomic size_t soft_next_bytes; /* from here on it is asked again, though it left the limit exceeded */
} fl_limits;

#define FL_ARENA_COUNTER(unused, name, kind, help, of_all) _Atomic uint64_t name;
#define FL_CAUSE_COUNTER(unused, name, figure, kind, help) _Atomic uint64_t name[FL_CAUSE_COUNT];

typedef struct fl_pagearena {
    fl_lock ground_lock; /* regions and their chunks, while they change: see window.h */
    fl_lock lock;
    _Atomic(struct fl_pagearena *) parent; /* its limits count this one's pages too; see family.h */
    fl_region *regions;                    /* all of its regions */
    fl_pagetree tree;
    osmem_stat stat;
    fl_limits limits;
    size_t ready_pages;          /* idle or granted; decommitted_bytes of them are not Ready */
    _Atomic size_t family_bytes; /* Ready, with those of the arenas below; counted before they become so */
    size_t used_pages;           /* granted */
    size_t leaving_pages;        /* were idle, now in upkeep's hands */
    size_t kept_pages;           /* free and Ready, but the system does not take them */
    uint64_t kept_since_ns;      /* when the system last said so */
    size_t scavenge_below;       /* index of the region below which the next batch goes on; upkeep's */
    _Atomic size_t decommitted_bytes; /* Prepared, in what is granted: not used yet, or given back above */
    _Atomic size_t filled_bytes; /* the part of what is granted that the floor above filled; see huge.h */
    bool more_idle;              /* a grant has made more Ready than its own pages; upkeep should know */
    bool dense_again;  /* a grant has made a region dense: the holder of the lock drops it, then looks */
    uint64_t activity; /* grants and returns so far: shows the scavenger that something goes on */
    fl_pace pace;

    uint64_t chunks_mapped; /* now */
    FL_ARENA_COUNTERS(FL_ARENA_COUNTER, FL_NOT_COUNTED, )
    FL_CAUSE_COUNTERS(FL_CAUSE_COUNTER, )

    fl_lock shed_lock;                          /* one thread at a time asks the shedder; see shed.h */
    _Atomic uint64_t refused[FL_REFUSED_COUNT]; /* the refusals, by reason */
    _Atomic uint64_t refused_above;             /* those of them at the limit of an arena above */
    _Atomic uintptr_t refused_last; /* the last: an fl_shortage's whose, with its why in the low bits */
    _Atomic size_t arenas_below;    /* written under the lock of arenas */
    size_t wanted_bytes;            /* at a limit, by the floor above; upkeep's */
    uint32_t unused_ms; /* in this turn, what lay unused for so long may go; upkeep's, with the next */
    bool left_some;     /* some has not lain so long yet, or is spared for now */
    bool at_work;       /* the program was, in the last tick */
    fl_region *changed; /* this and the next six: see scarce.h */
    fl_region *skipped; /* upkeep's: none leaves before the end of the look */
    _Atomic bool in_heaps;
    _Atomic bool scarce;
    _Atomic uint32_t scarce_times; /* so often it has become so: the number of this time, never 0 then */
    _Atomic bool in_hands;
    _Atomic bool exhausted; /* its limit is exhausted */
    fl_upkeep upkeep;
    /* What the floor above thinks a tick could free, which may be too much; and what it has given back parts
     * of, where more may have become free since. */
    _Atomic size_t reclaimable_bytes;
    _Atomic size_t purged_bytes;
    _Atomic uint32_t heap_count;   /* of the floor above, guarded there; each may have something to give */
    _Atomic size_t idle_shown;     /* idle pages, for readers without the lock */
    _Atomic size_t sparable_noted; /* fl_pagearena_sparable_bytes when the driver was last told of it */
} fl_pagearena;

static inline fl_pagearena *fl_pagearena_of_upkeep(const fl_upkeep *upkeep) {
    return (fl_pagearena *)((char *)(uintptr_t)upkeep - offsetof(fl_pagearena, upkeep));
}

/* Returns NULL if only the process's limits count its pages. Sequentially consistent, with the accesses of
 * scarce.h. */
static inline fl_pagearena *fl_pagearena_above(const fl_pagearena *arena) {
    return atomic_load_explicit(&arena->parent, memory_order_seq_cst);
}

typedef struct fl_shortage {
    fl_refusal why;
    size_t bytes;        /* the excess */
    fl_pagearena *whose; /* the arena whose limit it is; NULL: the process's, or none */
} fl_shortage;

static inline bool fl_is_at_hard_limit(const fl_shortage *shortage) {
    return shortage->why == FL_REFUSED_ARENA || shortage->why == FL_REFUSED_PROCESS;
}

static inline size_t fl_pagearena_idle_pages(const fl_pagearena *arena) {
    return arena->ready_pages - arena->used_pages - arena->leaving_pages - arena->kept_pages;
}

/* Caller holds the lock, and calls this whenever the number of idle pages has changed. */
static inline void fl_pagearena_show_idle(fl_pagearena *arena) {
    atomic_store_explicit(&arena->idle_shown, fl_pagearena_idle_pages(arena), memory_order_relaxed);
}

/* Relaxed: these counters order nothing. */
static inline void fl_pagearena_count(_Atomic size_t *counter, size_t bytes, bool more) {
    if (more)
        atomic_fetch_add_explicit(counter, bytes, memory_order_relaxed);
    else
        atomic_fetch_sub_explicit(counter, bytes, memory_order_relaxed);
}

/* Of counters.h. */
static inline void fl_counter_add(_Atomic uint64_t *counter, uint64_t more) {
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

/* Returns whether a give-back leaves whole huge pages alone of which little can go: see huge.h. */
static inline bool fl_pagearena_spares_huge(const fl_pagearena *arena, fl_cause cause) {
    return arena->at_work && !atomic_load_explicit(&arena->scarce, memory_order_relaxed) &&
           (cause == FL_CAUSE_GOAL || cause == FL_CAUSE_QUIET);
}

/* What is idle, and what the floor above thinks it could free: a hint, for readers without the lock. */
static inline size_t fl_pagearena_sparable_bytes(const fl_pagearena *arena) {
    return (atomic_load_explicit(&arena->idle_shown, memory_order_relaxed) << FL_PAGE_SHIFT) +
           atomic_load_explicit(&arena->reclaimable_bytes, memory_order_relaxed);
}

/* Returns how much of [start, start + bytes) lies in the region that it starts in: no transition crosses a
 * region's end, which may be a reservation's. */
static inline size_t fl_bytes_in_region(const char *start, size_t bytes) {
    size_t left = FL_REGION_BYTES - (((uintptr_t)start - fl_the_window.base) & (FL_REGION_BYTES - 1));
    return bytes < left ? bytes : left;
}

static inline size_t fl_pages_up(size_t bytes) {
    return (bytes >> FL_PAGE_SHIFT) + ((bytes & (FL_PAGE_BYTES - 1)) != 0);
}

/* Returns a size in pages, rounded up to whole grains. */
static inline size_t fl_pages_for(size_t bytes) {
    size_t grain_bytes = fl_the_window.grain_pages << FL_PAGE_SHIFT;
    return ((bytes + grain_bytes - 1) & ~(grain_bytes - 1)) >> FL_PAGE_SHIFT;
}

#endif
