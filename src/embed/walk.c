/* SPDX-License-Identifier: MIT */
/*
 * walk.c: every live block of an arena that nobody uses meanwhile, by what the table and the slabs say.
 */
#include "../heap/batches.h"
#include "../heap/heap_audit.h"
#include "../heap/thread.h"
#include "../slab/liveblocks.h"
#include "fallow/arena.h"

typedef struct visitor {
    fallow_visit *visit;
    void *context;
} visitor;

/* What starts at a page: a slab and its live blocks, or a large block. slab NULL: neither. */
typedef struct start {
    const fl_slab *slab;
    fl_blocks blocks;
} start;

/* Nobody uses the arena, but a thread that ends, or has many arenas, may be about to let its heap in it go: what a slab says is
 * read while none can. (A page that is nobody's stays so.) */
static void look_at(const fl_region *region, size_t page, start *out) {
    const _Atomic fl_entry *entry = &fl_the_window.table[fl_region_index(region) * FL_REGION_PAGES + page];
    out->slab = NULL;
    if (!atomic_load_explicit(entry, memory_order_relaxed))
        return;
    fl_threads_lock();
    const fl_slab *slab = fl_entry_slab(atomic_load_explicit(entry, memory_order_relaxed));
    if (slab && slab->start == fl_region_start(region) + (page << FL_PAGE_SHIFT))
        out->slab = slab;
    if (out->slab && slab->kind == FL_KIND_SLAB) /* Acquire: the links behind the head. */
        fl_blocks_find(slab, fl_word_head(atomic_load_explicit(&slab->word, memory_order_acquire)),
                       &out->blocks);
    fl_threads_unlock();
}

static bool show_blocks(const start *from, const visitor *to) {
    const fl_slab *slab = from->slab;
    for (size_t i = 0; i < FL_BLOCKS_WORDS; i++)
        for (uint64_t rest = from->blocks.live[i]; rest; rest &= rest - 1) {
            size_t index = i * 64 + (size_t)__builtin_ctzll(rest);
            if (!to->visit(to->context, slab->start + index * slab->block_bytes, slab->block_bytes))
                return false;
        }
    return true;
}

static bool walk_region(const fl_region *region, const visitor *to) {
    start from;
    bool on = true;
    for (size_t page = 0; page < FL_REGION_PAGES && on; page++) {
        look_at(region, page, &from);
        if (from.slab)
            on = from.slab->kind == FL_KIND_SLAB
                     ? show_blocks(&from, to)
                     : to->visit(to->context, from.slab->start, from.slab->pages << FL_PAGE_SHIFT);
    }
    return on;
}

bool fallow_arena_walk(fallow_arena *handle, fallow_visit *visit, void *context) {
    fallow_arena *arena = fl_arena_at(handle, "walk of arena");
    visitor to = {visit, context};
    bool on = true;
    fl_audit_arena_unused(arena);
    /* Nobody gives anything of it back meanwhile, so that its regions stay, and the lists of free blocks as they are. No lock is
     * held while the program is shown a block. */
    fl_upkeep_pause(&arena->pages.upkeep);
    fl_batches_flush(arena, false);
    for (const fl_region *region = arena->pages.regions; region && on; region = region->next)
        on = walk_region(region, &to);
    fl_upkeep_go_on(&arena->pages.upkeep);
    return on;
}
