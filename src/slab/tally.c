/* SPDX-License-Identifier: MIT */
#include "tally.h"

#include "arenas.h"

#define UNIT_SHIFT_MIN 12 /* no OS page is smaller */

typedef struct fl_tallies {
    /* Where a slab starts: of which time its tally is, and of which size class the slab; 0: nothing is
     * known. */
    _Atomic uint32_t known[FL_REGION_PAGES];
    _Atomic uint8_t
        live[FL_REGION_BYTES >> UNIT_SHIFT_MIN]; /* of a slab: one for each unit, from its start on */
} fl_tallies;

/* Acquire: they are zeroed. */
static fl_tallies *tallies_of(const void *at) {
    return atomic_load_explicit(&fl_region_of(at)->tallies, memory_order_acquire);
}

static _Atomic uint32_t *known_of(fl_tallies *tallies, const char *start) {
    return &tallies->known[fl_page_of(start) % FL_REGION_PAGES];
}

static _Atomic uint8_t *bytes_of(fl_tallies *tallies, const char *start) {
    return &tallies->live[((uintptr_t)start - fl_the_window.base) % FL_REGION_BYTES >> UNIT_SHIFT_MIN];
}

static size_t units_of(unsigned size_class) {
    return ((size_t)fl_classes[size_class].slab_pages << FL_PAGE_SHIFT) >> fl_classes[size_class].unit_shift;
}

/* The word of what is known in this time; never 0. */
static uint32_t known_now(const fl_pagearena *arena, unsigned size_class) {
    return atomic_load_explicit(&arena->scarce_times, memory_order_relaxed) << 8 | size_class;
}
_Static_assert(FL_CLASS_COUNT <= 256, "a class has a byte");

/* The bytes of a slab, for each of its units; NULL: nothing is known of it. */
static _Atomic uint8_t *known_bytes(const char *start, const fl_pagearena *arena, unsigned size_class) {
    fl_tallies *tallies = tallies_of(start);
    return tallies && atomic_load_explicit(known_of(tallies, start), memory_order_relaxed) ==
                          known_now(arena, size_class)
               ? bytes_of(tallies, start)
               : NULL;
}

/* Who sets one has the arena's upkeep, and a region has one arena. */
static fl_tallies *make_tallies(const char *start) {
    fl_tallies *tallies = tallies_of(start);
    if (!tallies && (tallies = fl_meta_alloc(sizeof *tallies)) != NULL)
        atomic_store_explicit(&fl_region_of(start)->tallies, tallies, memory_order_release);
    return tallies;
}

void fl_tally_set(const fl_slab *slab, const uint32_t *live) {
    size_t bytes = slab->pages << FL_PAGE_SHIFT;
    fl_tallies *tallies = fl_bytes_in_region(slab->start, bytes) == bytes ? make_tallies(slab->start) : NULL;
    if (!tallies)
        return;
    for (size_t unit = 0; unit < units_of(slab->size_class); unit++)
        atomic_store_explicit(&bytes_of(tallies, slab->start)[unit],
                              (uint8_t)(live[unit] < UINT8_MAX ? live[unit] : UINT8_MAX),
                              memory_order_relaxed);
    atomic_store_explicit(known_of(tallies, slab->start), known_now(&slab->arena->pages, slab->size_class),
                          memory_order_relaxed);
}

void fl_tally_forget(const char *start) {
    fl_tallies *tallies = tallies_of(start);
    if (tallies)
        atomic_store_explicit(known_of(tallies, start), 0, memory_order_relaxed);
}

/* One more lives in a unit, or one less, between 0 and the most that there is room for. Returns how many did
 * before. Sequentially consistent: see scarce.h; and whoever takes off the last has all pushes before him
 * that the others did, and says so of them too. */
static uint8_t change(_Atomic uint8_t *live, bool more) {
    uint8_t before = atomic_load_explicit(live, memory_order_relaxed);
    while (before != (more ? UINT8_MAX : 0) &&
           !atomic_compare_exchange_weak_explicit(live, &before, (uint8_t)(more ? before + 1 : before - 1),
                                                  memory_order_seq_cst, memory_order_relaxed))
        ;
    return before;
}

/* For each unit that a block touches. Returns whether one has no live block now; true also of a block that
 * lay in another slab, which had its place here before. */
static bool count(_Atomic uint8_t *bytes, size_t offset, unsigned size_class, bool more) {
    const fl_class *sizes = &fl_classes[size_class];
    size_t last = (offset + sizes->block_bytes - 1) >> sizes->unit_shift;
    bool none = last >= units_of(size_class);
    for (size_t unit = offset >> sizes->unit_shift; unit <= last && last < units_of(size_class); unit++)
        none |= change(&bytes[unit], more) <= 1 && !more;
    return none;
}

bool fl_tally_take(const fl_slab *slab, const void *block) {
    _Atomic uint8_t *bytes = known_bytes(slab->start, &slab->arena->pages, slab->size_class);
    if (bytes)
        count(bytes, (size_t)((const char *)block - slab->start), slab->size_class, true);
    return bytes != NULL;
}

bool fl_tally_free(const fl_pagearena *arena, const char *start, const char *first, const char *last) {
    fl_tallies *tallies = tallies_of(start);
    uint32_t known = tallies ? atomic_load_explicit(known_of(tallies, start), memory_order_relaxed) : 0;
    if (known != known_now(arena, known & 255))
        return true;
    if (first == last)
        return count(bytes_of(tallies, start), (size_t)(first - start), known & 255, false);
    fl_tally_forget(start); /* the blocks between them are no longer ours to look at */
    return true;
}

/* What is decommitted has no live block. */
__attribute__((no_sanitize("thread"))) bool fl_tally_allows_idle(const fl_slab *slab) {
    unsigned size_class = slab->size_class;
    _Atomic uint8_t *bytes = known_bytes(slab->start, &slab->arena->pages, size_class);
    if (!bytes)
        return true;
    uint64_t ready = fl_unit_bits(0, units_of(size_class) - 1) & ~slab->decommitted;
    for (; ready; ready &= ready - 1)
        if (atomic_load_explicit(&bytes[fl_unit_first(ready)], memory_order_seq_cst) == 0)
            return true;
    return false;
}

#if FL_CHECKS >= 2
unsigned fl_tally_of(const fl_slab *slab, size_t unit) {
    const fl_pagearena *arena = &slab->arena->pages;
    _Atomic uint8_t *bytes =
        fl_pagearena_is_scarce(arena) ? known_bytes(slab->start, arena, slab->size_class) : NULL;
    return bytes ? atomic_load_explicit(&bytes[unit], memory_order_relaxed) : 0;
}
#endif
