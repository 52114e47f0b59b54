/* SPDX-License-Identifier: MIT */
/*
 * pages.h: an arena of pages, the owner of regions. It grants runs of pages, takes them back, and gives idle
 * ones back to the system; it knows nothing of blocks. With window.h and scavenger.h the face of the floor.
 *
 *     granted:   Prepared or idle Ready pages ──▶ in use      (Ready afterwards, all of them)
 *     returned:  in use ──▶ idle                              (still Ready: the cheapest to grant again)
 *     scavenged: idle ──▶ Prepared                            (the system has the memory back)
 *
 * Threads: everything may be called from any thread; the arena's lock makes it so. The lock is not held in
 * the system calls that give memory back.
 */
#ifndef FL_PAGES_H
#define FL_PAGES_H

#include "../osmem/lock.h"
#include "window.h"

typedef struct fl_arena {
    fl_lock lock;
    fl_region *first; /* by address */
    fl_region *last;
    fl_region *roomy; /* regions before this one are full; a hint */
    osmem_stat stat;
    size_t limit_pages; /* Ready pages are never more */
    size_t ready_pages;
    size_t used_pages;              /* granted */
    size_t leaving_pages;           /* idle before, now in the scavenger's hands */
    size_t used_peak_pages;         /* decays; kept by the scavenger */
    struct fl_arena *next_attended; /* this and the next two are the scavenger's */
    uint64_t grants_seen;
    unsigned quiet_ticks;
    uint64_t grants; /* grants and returns so far: how the scavenger knows that something goes on */
} fl_arena;

/* parent: the stat that includes this arena's. limit_bytes 0: none. name is kept, not copied. */
void fl_arena_init(fl_arena *arena, const char *name, osmem_stat *parent, size_t limit_bytes);

/* Everything to None; what the system does not take back now is tried again when another arena ends. Nobody may
 * use the arena or anything in it; table entries must be cleared before. */
void fl_arena_end(fl_arena *arena);

/*
 * Grants pages (a multiple of the window's grain) at an alignment in pages (a power of two). *zeroed says
 * whether all of it reads as zero. NULL: over the limit, or the system has no memory; nothing is lost.
 */
char *fl_pages_grant(fl_arena *arena, size_t pages, size_t alignment_pages, bool *zeroed);

/* Grants the pages right behind [start, start + pages) as well, if they are free. */
bool fl_pages_extend(fl_arena *arena, char *start, size_t pages, size_t more_pages);

/* Takes pages back; they need not be all that was granted together. */
void fl_pages_return(fl_arena *arena, char *start, size_t pages);

static inline size_t fl_arena_idle_pages(const fl_arena *arena) {
    return arena->ready_pages - arena->used_pages - arena->leaving_pages;
}

/*
 * Gives back to the system up to wanted_pages of what is idle, highest addresses first, in one batch of
 * bounded length. Returns how many pages went; 0: nothing is idle, or the system refuses.
 */
size_t fl_pages_scavenge(fl_arena *arena, size_t wanted_pages);

void fl_pages_fork_prepare(void);
void fl_pages_fork_done(void);

/* A size in pages of a whole number of grains. */
static inline size_t fl_pages_for(size_t bytes) {
    size_t grain_bytes = fl_the_window.grain_pages << FL_PAGE_SHIFT;
    return ((bytes + grain_bytes - 1) & ~(grain_bytes - 1)) >> FL_PAGE_SHIFT;
}

#endif
