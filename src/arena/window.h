/* SPDX-License-Identifier: MIT */
/*
 * window.h: the one range of addresses in which everything lies that fallow hands out, and the table that
 * says for each of its pages whose it is.
 *
 *     ┌ table ┬ descriptors ┬ regions ┬ meta ┬─────────────── window ───────────────┐
 *     │ 8 B a │ 128 B each  │ a header│ the  │ region │ region │ region │ …         │
 *     │ page  │             │ for each│ rest │ 4 MiB  │        │        │           │
 *     └───────┴─────────────┴─────────┴──────┴──────────────────────────────────────┘
 *                                           aside, between meta and window: see below
 *
 * The window is not a reservation: regions are reserved in it one after the other, so that what nobody uses
 * does not eat into a limit on address space (ulimit -v, also one set later). Only if no quiet range of
 * addresses is to be had (under some sanitizers and valgrind) is a smaller one reserved whole. The table
 * reaches as far as regions have been taken: a pointer beyond is not ours.
 *
 * All bookkeeping lies outside the blocks: writing past a block's end cannot reach it.
 *
 * An entry of the table is the address of a descriptor with the owner's tag in the bits that such an address
 * does not have: descriptors are 128 bytes long and lie below 2^47.
 *
 *      63            47 46                               7 6         0
 *     ┌────────────────┬─────────────────────────────────┬───────────┐
 *     │ tag, high part │ the descriptor's address        │ low part  │
 *     └────────────────┴─────────────────────────────────┴───────────┘
 *   0                   nobody's page: a pointer to it is not ours
 *   descriptor, tag 0   a slab that belongs to no heap, or a large block
 *   descriptor, tag     a slab that the heap with this tag owns: its thread may free without an atomic
 *
 * So an exclusive or with its own tag gives an owner the descriptor's address, and anybody else something
 * that has a bit of FL_ENTRY_TAG_BITS.
 */
#ifndef FL_WINDOW_H
#define FL_WINDOW_H

#include <stdatomic.h>

#include "fallow/osmem.h"
#include "pagebits.h"
#include "reservation.h"

#ifndef FL_PAGE_SHIFT /* the simulation has smaller pages */
#define FL_PAGE_SHIFT 14
#endif
#define FL_PAGE_BYTES ((size_t)1 << FL_PAGE_SHIFT)
#define FL_CHUNK_PAGES ((size_t)8)
#define FL_CHUNK_BYTES (FL_CHUNK_PAGES << FL_PAGE_SHIFT)
#define FL_REGION_SHIFT (FL_PAGE_SHIFT + 8)
#define FL_REGION_BYTES ((size_t)1 << FL_REGION_SHIFT)
#define FL_REGION_PAGES (FL_REGION_BYTES >> FL_PAGE_SHIFT)
#define FL_REGION_WORDS (FL_REGION_PAGES / 64)
#define FL_REGION_CHUNKS (FL_REGION_PAGES / FL_CHUNK_PAGES)

typedef uint64_t fl_entry;

#define FL_ENTRY_LOW_BITS 7
#define FL_ENTRY_HIGH_SHIFT 47
#define FL_ENTRY_TAG_BITS UINT64_C(0xffff80000000007f)
#define FL_TAG_MAX ((UINT32_C(1) << 24) - 1)

/* A tag (24 bits) in its place in an entry. */
static inline fl_entry fl_entry_tag(uint32_t tag) {
    return (fl_entry)(tag >> FL_ENTRY_LOW_BITS) << FL_ENTRY_HIGH_SHIFT |
           (tag & ((1u << FL_ENTRY_LOW_BITS) - 1));
}

static inline void *fl_entry_descriptor(fl_entry entry) {
    return (void *)(uintptr_t)(entry & ~FL_ENTRY_TAG_BITS);
}

struct fl_pagearena;

/* A bit for each chunk of a region. */
typedef uint32_t fl_chunks;
#define FL_CHUNKS_ALL UINT32_MAX
_Static_assert(FL_REGION_CHUNKS == 32, "as many bits as chunks");

/*
 * A region and its pages. It is
 *   free      taken by nobody
 *   owned     an arena's
 *   leaving   nobody's again, in the hands of the thread that gives it back
 *   kept      nobody's, but the system did not take all of it back: for the next arena of the back end
 * A chunk of an owned region is
 *   None      in none of the masks below
 *   reserved  Reserved: the system's promise, from the start if the window is reserved whole
 *   growing   on its way to mapped: its pages count as in use meanwhile
 *   mapped    its pages are Prepared or Ready
 *   lost      somebody else sits there: its pages count as in use until the region leaves
 * Pages of chunks that are None or reserved are as free as others; in a mapped chunk a page is
 *   in use    granted to a span (or on its way to Prepared, in upkeep's hands): Ready, but for what a slab
 *             has not carved yet, or what was purged (../slab/units.h)
 *   prepared  free and Prepared
 *   kept      free and Ready: the system does not take it (it is locked), and is not asked at every turn
 *   gone      None: the system took it away. It counts as in use until the region leaves
 *   else      free and Ready: idle
 *
 * The arena's lock guards pages. Chunks and the owner change only under the arena's ground lock as well,
 * which is held across the system calls before or after the change: so a region grows or leaves, never both,
 * and fork, which finds both locks free, finds each chunk as it is. A thread that holds the arena's lock and
 * reads the arena's address in a region knows that the arena owns it; from any other value it learns only
 * that it does not. (spin explores all of it: tests/model/regions.pml.)
 */
typedef struct fl_region {
    _Atomic(struct fl_pagearena *) arena; /* NULL: free, leaving or kept */
    const osmem_backend *keeper;          /* kept: by this one */
    struct fl_region *next;               /* of the same arena, in no order */
    struct fl_region *previous;
    struct fl_branch *branch; /* above it in the arena's tree */
    fl_chunks mapped;         /* this and the next three: a bit for each chunk */
    fl_chunks reserved;
    fl_chunks growing;
    fl_chunks lost;
    struct fl_region *next_changed; /* see scarce.h; guarded by the arena's lock */
    struct fl_region *previous_changed;
    _Atomic uint64_t changed; /* a bit for each group of pages; 0: the region is not in that list */
    uint64_t skipped;         /* likewise, since a look began; guarded by the same lock */
    struct fl_region *next_skipped;
    _Atomic(struct fl_tallies *) tallies; /* of the floor above, which never frees them: see tally.h there */
    bool idle;                            /* has idle pages */
    bool vacant;                          /* and none in use */
    bool huge;                            /* huge pages were asked for, before its first page was used */
    bool small;                           /* they are not wanted here, or no longer */
    bool unsaid;                          /* the advice has changed, but the system has not been told yet */
    bool advised;   /* counted: advised after growth, or with it unlike the region before; see huge.h */
    uint64_t split; /* a bit for each of its huge pages that was split */
    bool purged;    /* parts of what is in use here have gone: it may look dense, but is not */
    uint64_t in_use[FL_REGION_WORDS];
    uint64_t prepared[FL_REGION_WORDS];
    uint64_t kept[FL_REGION_WORDS];
    uint64_t gone[FL_REGION_WORDS];
    uint64_t untouched
        [FL_REGION_WORDS]; /* idle since they became Ready with the rest of a huge page: read as zero */
    uint64_t moved[FL_REGION_WORDS]; /* in a mapping that a move made: see moves.h */
    uint64_t cuts[FL_REGION_WORDS];  /* the first of such a mapping, or right behind one */
} fl_region;

/* What the fast paths read, on one cache line that nobody writes after start, except `pages` as it grows. */
typedef struct fl_window {
    uintptr_t base;
    _Atomic size_t pages; /* the table has this many entries; 0 before fl_window_init */
    _Atomic fl_entry *table;
    char *descriptors;
    fl_region *regions;
    size_t grain_pages; /* grants are multiples of this: the OS page, where that is larger */
    size_t os_page_bytes;
} fl_window;

extern fl_window fl_the_window;

/* The stats of the process: everything, and the part that is fallow's own bookkeeping. */
extern osmem_stat fl_stat_process;
extern osmem_stat fl_stat_meta;

/* Where its bookkeeping lies: table, descriptors, regions, and the rest. */
#define FL_WINDOW_PARTS 4
extern fl_reservation *const fl_window_parts[FL_WINDOW_PARTS];

/* Addresses beside the window, for blocks that have to lie apart (../slab/trap.h). They are None until that
 * code reserves them; in a window that is reserved as a whole they are Reserved, and counted in
 * fl_stat_meta. */
#define FL_ASIDE_OS_PAGES ((size_t)1025)
extern fl_reservation fl_window_aside;

/* Finds a place for the window. Called once, before anything else; returns false if the system has no room at
 * all. */
bool fl_window_init(void);

/* Returns the longest run that the window could ever hold. */
size_t fl_window_pages_max(void);

/*
 * Takes `count` free regions that lie side by side, the lowest there are. Returns NULL if there are none.
 * They have no page in use and are the caller's, who is about to own them. With a back end, regions that it
 * has kept are as good; what is mapped or reserved of these is counted in fl_stat_meta.
 */
fl_region *fl_window_take(size_t count, const osmem_backend *backend);

/* Gives one region back. What is still mapped or reserved of it, by this back end, is counted in fl_stat_meta
 * and kept for the back end's next arena. */
void fl_window_give(fl_region *region, const osmem_backend *backend);

/* Takes a region that was given back with something kept in it, for another try to free that; returns NULL if
 * there is none. */
fl_region *fl_window_take_kept(const osmem_backend *backend);

/* Returns whether the window is one reservation, so that nothing of it may become None. */
bool fl_window_is_reserved(void);

/* Returns memory for bookkeeping, zeroed, aligned to 64 bytes, never given back: keep it by type and use it
 * again. */
void *fl_meta_alloc(size_t bytes);

/* Makes descriptors up to this index writable. */
bool fl_window_grow_descriptors(size_t count, size_t descriptor_bytes);

#if FL_CHECKS >= 2
/* The books of the window, for audits: read under its lock, or while every other thread is stopped. */
typedef struct fl_window_books {
    size_t reached;        /* regions below this have been taken at least once */
    size_t max;            /* how many there can be */
    const uint64_t *taken; /* a bit for each */
    const fl_region *kept; /* nobody's, with something in them; linked by next */
} fl_window_books;

fl_window_books fl_window_look(void);
#endif

static inline bool fl_region_is_of(const fl_region *region, const struct fl_pagearena *arena) {
    return atomic_load_explicit(&region->arena, memory_order_relaxed) == arena;
}

static inline size_t fl_region_index(const fl_region *region) {
    return (size_t)(region - fl_the_window.regions);
}

static inline char *fl_region_start(const fl_region *region) {
    return (char *)fl_the_window.base + (fl_region_index(region) << FL_REGION_SHIFT);
}

static inline size_t fl_page_of(const void *address) {
    return ((uintptr_t)address - fl_the_window.base) >> FL_PAGE_SHIFT;
}

static inline fl_region *fl_region_of(const void *address) {
    return fl_the_window.regions + (((uintptr_t)address - fl_the_window.base) >> FL_REGION_SHIFT);
}

/*
 * Writes the entries of a run of pages. Relaxed: whoever gets a pointer into them gets it through the
 * program's own synchronisation; and the scavenger, which takes tags away, fences everybody afterwards.
 */
static inline void fl_entries_write(const char *start, size_t pages, fl_entry entry) {
    _Atomic fl_entry *at = &fl_the_window.table[fl_page_of(start)];
    for (size_t i = 0; i < pages; i++)
        atomic_store_explicit(&at[i], entry, memory_order_relaxed);
}

/* Returns the entry of the page that an address lies in; 0 for any address that is not in a region of
 * ours. */
static inline fl_entry fl_entry_of(const void *address) {
    size_t page = fl_page_of(address);
    if (page >= atomic_load_explicit(&fl_the_window.pages, memory_order_acquire))
        return 0;
    return atomic_load_explicit(&fl_the_window.table[page], memory_order_relaxed);
}

#endif
