/* SPDX-License-Identifier: MIT */
#include "spans.h"

#include "pages.h"
#include "scarce.h"

static size_t pages_in(uint64_t slot) {
    return (size_t)(uint32_t)slot;
}

static char *start_of(uint64_t slot) {
    return (char *)fl_the_window.base + ((size_t)(slot >> 32) << FL_PAGE_SHIFT);
}

/* Acquire and release, here and below: a span passes from one thread to another through its slot. */
static uint64_t take_slot(_Atomic uint64_t *slot) {
    return atomic_load_explicit(slot, memory_order_relaxed)
               ? atomic_exchange_explicit(slot, 0, memory_order_acq_rel)
               : 0;
}

/* Counts what is kept: granted, but to be had back. */
static void count_kept(fl_pagearena *arena, size_t pages, bool more) {
    fl_pagearena_count(&arena->reclaimable_bytes, pages << FL_PAGE_SHIFT, more);
}

static void give_up(fl_pagearena *arena, uint64_t span) {
    count_kept(arena, pages_in(span), false);
    fl_pages_return(arena, start_of(span), pages_in(span));
}

static bool is_large(size_t pages) {
    return pages > FL_SPANS_PAGES_MAX / 2;
}

static void empty_slot(_Atomic uint64_t *slot, fl_pagearena *arena) {
    uint64_t span = take_slot(slot);
    if (span)
        give_up(arena, span);
}

static void fill_slot(_Atomic uint64_t *slot, fl_pagearena *arena, char *start, size_t pages) {
    count_kept(arena, pages, true);
    atomic_store_explicit(slot, (uint64_t)fl_page_of(start) << 32 | pages, memory_order_seq_cst);
    fl_scarce_in_heaps(arena);
}

static char *take(fl_spans *spans, fl_pagearena *arena, size_t *pages, size_t most) {
    for (size_t i = is_large(*pages) ? FL_SPANS_LARGE : 0; i < FL_SPANS_SLOTS; i++) {
        uint64_t span = atomic_load_explicit(&spans->slots[i], memory_order_relaxed);
        size_t have = pages_in(span);
        if (have < *pages || have > most)
            continue;
        /* Upkeep may have come first. */
        if (!atomic_compare_exchange_strong_explicit(&spans->slots[i], &span, 0, memory_order_acq_rel,
                                                     memory_order_relaxed))
            continue;
        count_kept(arena, have, false);
        *pages = have;
        return start_of(span);
    }
    empty_slot(&spans->slots[FL_SPANS_LARGE], arena);
    return NULL;
}

char *fl_spans_take(fl_spans *spans, fl_pagearena *arena, size_t pages) {
    return take(spans, arena, &pages, pages);
}

char *fl_spans_take_longer(fl_spans *spans, fl_pagearena *arena, size_t *pages) {
    return take(spans, arena, pages, *pages + *pages / 8);
}

static void put_large(fl_spans *spans, fl_pagearena *arena, char *start, size_t pages) {
    if (pages > FL_SPANS_PAGES_MAX) {
        fl_pages_return(arena, start, pages);
        return;
    }
    empty_slot(&spans->slots[FL_SPANS_LARGE], arena);
    fill_slot(&spans->slots[FL_SPANS_LARGE], arena, start, pages);
}

void fl_spans_put(fl_spans *spans, fl_pagearena *arena, char *start, size_t pages) {
    if (is_large(pages)) {
        put_large(spans, arena, start, pages);
        return;
    }
    size_t kept = pages, empty = FL_SPANS_LARGE;
    for (size_t i = 0; i < FL_SPANS_LARGE; i++) {
        uint64_t span = atomic_load_explicit(&spans->slots[i], memory_order_relaxed);
        kept += pages_in(span);
        empty = span ? empty : i;
    }
    /* Others may have taken any since they were counted: a whole round leaves none, whatever `kept` says. */
    for (size_t looks = 0; looks < FL_SPANS_LARGE && (kept > FL_SPANS_PAGES_MAX || empty == FL_SPANS_LARGE);
         looks++, spans->next++) {
        uint64_t old = take_slot(&spans->slots[spans->next % FL_SPANS_LARGE]);
        if (old)
            give_up(arena, old);
        kept -= pages_in(old) < kept ? pages_in(old) : kept;
        empty = spans->next % FL_SPANS_LARGE;
    }
    fill_slot(&spans->slots[empty], arena, start, pages);
}

void fl_spans_flush(fl_spans *spans, fl_pagearena *arena) {
    for (size_t i = 0; i < FL_SPANS_SLOTS; i++)
        empty_slot(&spans->slots[i], arena);
}
