/* SPDX-License-Identifier: MIT */
#include "large.h"

#include "../arena/driver.h"
#include "../arena/grant.h"
#include "../arena/moves.h"
#include "../arena/pages.h"
#include "../profile/sites.h"
#include "../system/fatal.h"
#include "arenas.h"

#define TABLED_PAGES ((size_t)64)

static size_t tabled(size_t pages) {
    return pages < TABLED_PAGES ? pages : TABLED_PAGES;
}

static void write_entries(const fl_slab *run, size_t from, size_t to, fl_entry entry) {
    fl_entries_write(run->start + (from << FL_PAGE_SHIFT), to - from, entry);
}

static void begin(fl_slab *run, fallow_arena *arena, char *start, size_t pages) {
    run->start = start;
    run->arena = arena;
    run->pages = pages;
    run->block_bytes = 0;
    run->kind = FL_KIND_LARGE;
    run->sample = NULL;
    /* Its predecessor may have ended with its arena, in any state; and whoever looks for slabs to claim goes
     * by that. */
    atomic_store_explicit(&run->word, fl_word_make(FL_DEAD, 0, 0, 0), memory_order_relaxed);
}

void *fl_large_alloc_known(fallow_arena *arena, fl_kept *kept, size_t bytes, size_t alignment_pages,
                           bool *zeroed) {
    if (bytes > PTRDIFF_MAX)
        return NULL;
    fl_slab *run = fl_descriptor_take(kept);
    if (!run)
        return NULL;
    size_t pages = fl_pages_for(bytes ? bytes : 1);
    char *start = alignment_pages == 1
                      ? fl_spans_take_longer_or_grant(&kept->spans, &arena->pages, &pages, zeroed)
                      : fl_grant(&arena->pages, pages, alignment_pages, FL_FILLED_PERHAPS, zeroed);
    if (!start) {
        fl_descriptor_give(kept, run);
        return NULL;
    }
    begin(run, arena, start, pages);
    write_entries(run, 0, tabled(pages), fl_entry_make(run, 0));
    return start;
}

void *fl_large_alloc(fallow_arena *arena, fl_kept *kept, size_t bytes, size_t alignment_pages) {
    bool zeroed;
    return fl_large_alloc_known(arena, kept, bytes, alignment_pages, &zeroed);
}

/* Ready → Prepared → Ready of one range. Under the lock of moves, so that a child of fork does not find it
 * between its two states. */
static bool renew_range(osmem_stat *stat, void *start, size_t bytes) {
    fl_lock_take(fl_lock_of(FL_LOCK_MOVE));
    bool renewed =
        osmem_unused(start, bytes, stat) == OSMEM_OK && osmem_used(start, bytes, bytes, stat) == OSMEM_OK;
    fl_lock_drop(fl_lock_of(FL_LOCK_MOVE));
    return renewed;
}

bool fl_large_renew(void *block) {
    const fl_slab *run = fl_entry_slab(fl_entry_of(block));
    osmem_stat *stat = &run->arena->pages.stat;
    /* What counts as committed while it is Prepared cannot be refused afterwards. */
    bool renewed = stat->traits.zero_after_unused && stat->traits.prepared_is_charged;
    size_t bytes = run->pages << FL_PAGE_SHIFT;
    for (size_t at = 0, length; renewed && at < bytes; at += length) {
        length = fl_bytes_in_region(run->start + at, bytes - at);
        renewed = renew_range(stat, run->start + at, length);
    }
    return renewed;
}

/* Takes a run out of the table: nobody can free it any more, and its pages are this thread's alone. */
static void forget(const fl_slab *run, const void *block) {
    if (run->start != block)
        fl_fatal("free of", block, "not the start of a block (it lies inside a large one)");
    /* If two threads free the same block, the entry lets one of them go on. */
    fl_entry expected = fl_entry_make(run, 0);
    if (!atomic_compare_exchange_strong_explicit(&fl_the_window.table[fl_page_of(block)], &expected, 0,
                                                 memory_order_relaxed, memory_order_relaxed))
        fl_fatal("free of", block, "freed twice (its entry in the table is gone)");
    write_entries(run, 1, tabled(run->pages), 0);
}

/* Gives up a run that nobody has seen yet: some of its pages are None, against our will. The others become
 * free again. */
static void lose(fl_slab *run, const osmem_range *lost) {
    fl_pagearena *arena = &run->arena->pages;
    char *behind = (char *)lost->start + lost->bytes;
    size_t pages = lost->bytes >> FL_PAGE_SHIFT, before = fl_page_of(lost->start) - fl_page_of(run->start);
    forget(run, run->start);
    fl_pages_lose(arena, lost->start, pages);
    if (before > 0)
        fl_pages_return(arena, run->start, before);
    if (run->pages > before + pages)
        fl_pages_return(arena, behind, run->pages - before - pages);
    fl_descriptor_give(NULL, run);
}

void fl_large_give(fl_kept *kept, fl_slab *run, void *block) {
    forget(run, block);
    fl_sites_end(run->sample);
    fl_pagearena *arena = &run->arena->pages;
    if (kept)
        fl_spans_put(&kept->spans, arena, run->start, run->pages);
    else
        fl_pages_return(arena, run->start, run->pages);
    fl_descriptor_give(kept, run);
}

void fl_large_free(fl_kept *kept, fl_slab *run, void *block) {
    fl_pagearena *arena = &run->arena->pages;
    fl_large_give(kept, run, block);
    fl_driver_note(arena);
}

#if FL_HARDENED
fl_slab *fl_large_cut(fl_kept *kept, fl_slab *run) {
    size_t pages = run->pages;
    fl_slab *last = pages > 2 ? fl_descriptor_take(kept) : NULL;
    if (!last)
        return NULL;
    begin(last, run->arena, run->start + ((pages - 1) << FL_PAGE_SHIFT), 1);
    write_entries(run, 1, tabled(pages), 0);
    run->pages = 1;
    write_entries(last, 0, 1, fl_entry_make(last, 0));
    fl_pages_return(&run->arena->pages, run->start + FL_PAGE_BYTES, pages - 2);
    return last;
}
#endif

/* Below this, copying is as fast; and it is where the new pages already have memory behind them, which a move
 * would throw away (a vector that grows to 32 MiB again and again: 11 ms each time instead of 24). */
#define MOVE_PAGES_MIN (((size_t)1 << 20) >> FL_PAGE_SHIFT)

/* From here on it is looked first whether a block holds much at all: copying would make all of it resident,
 * and where it goes to. */
#define SPARSE_PAGES_MIN (((size_t)16 << 20) >> FL_PAGE_SHIFT)
#define SPARSE_LOOKS 64
#define LOOK_WORDS 512

/* Returns whether most of a block's pages look as if nothing had been written to them: of some that lie at no
 * even distances, at which there may be heads of something. */
static bool looks_sparse(const fl_slab *run) {
    unsigned empty = 0;
    size_t apart = run->pages / SPARSE_LOOKS << FL_PAGE_SHIFT;
    for (size_t i = 0; i < SPARSE_LOOKS; i++) {
        size_t beyond = (i * 0x9e3779b9u >> 16) % (run->pages / SPARSE_LOOKS) << FL_PAGE_SHIFT;
        const uint64_t *words = (const uint64_t *)(run->start + i * apart + beyond);
        uint64_t any = 0;
        for (size_t k = 0; k < LOOK_WORDS; k += LOOK_WORDS / 32)
            any |= words[k];
        empty += any == 0;
    }
    return empty > SPARSE_LOOKS / 2;
}

/*
 * Moves pages, not bytes. OSMEM_OK: the old run has been returned; OSMEM_LOST: the new run is gone. Holds the
 * lock from the move to the end of the books that follow it, for fork: a child must not find the one without
 * the other. Not inline: its frame would lie below the deepest path of malloc.
 */
static __attribute__((noinline)) osmem_result move_pages(const fl_slab *run, char *to) {
    fl_pagearena *arena = &run->arena->pages;
    fl_lock_take(fl_lock_of(FL_LOCK_MOVE));
    osmem_range lost;
    osmem_result moved = fl_pages_move(arena, run->start, to, run->pages, &lost);
    if (moved == OSMEM_OK) {
        forget(run, run->start);
        fl_pages_return_empty(arena, run->start, run->pages);
    } else if (moved == OSMEM_LOST)
        lose(fl_entry_slab(fl_entry_of(to)), &lost);
    fl_lock_drop(fl_lock_of(FL_LOCK_MOVE));
    return moved;
}

void *fl_large_move(fallow_arena *arena, fl_kept *kept, fl_slab *run, size_t bytes) {
    bool fresh;
    char *to = fl_large_alloc_known(arena, kept, bytes, 1, &fresh);
    if (!to)
        return NULL;
    osmem_result moved = OSMEM_UNSUPPORTED;
    bool cheap = fresh && run->pages >= MOVE_PAGES_MIN &&
                 fl_pages_are_in_few_mappings(&arena->pages, run->start, run->pages);
    if (cheap || (run->pages >= SPARSE_PAGES_MIN && looks_sparse(run)))
        moved = move_pages(run, to);
    if (moved == OSMEM_OK) {
        fl_sites_end(run->sample);
        fl_descriptor_give(kept, run);
        return to;
    }
    if (moved == OSMEM_LOST) {
        to = fl_large_alloc_known(arena, kept, bytes, 1, &fresh);
        if (!to)
            return NULL;
    }
    memcpy(to, run->start, run->pages << FL_PAGE_SHIFT);
    fl_large_free(kept, run, run->start);
    return to;
}

bool fl_large_resize(fl_slab *run, size_t bytes) {
    if (bytes > PTRDIFF_MAX)
        return false;
    fl_pagearena *arena = &run->arena->pages;
    size_t pages = fl_pages_for(bytes);
    if (pages < run->pages) {
        write_entries(run, tabled(pages), tabled(run->pages), 0);
        fl_pages_return(arena, run->start + (pages << FL_PAGE_SHIFT), run->pages - pages);
    } else if (pages > run->pages) {
        if (!fl_pages_extend(arena, run->start, run->pages, pages - run->pages))
            return false;
        write_entries(run, tabled(run->pages), tabled(pages), fl_entry_make(run, 0));
    }
    run->pages = pages;
    return true;
}
