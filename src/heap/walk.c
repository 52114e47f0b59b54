/* SPDX-License-Identifier: MIT */
/*
 * walk.c: every live block of an arena that nobody uses meanwhile, by what the table and the slabs say.
 */
#include "arena_heaps.h"
#include "fallow/arena.h"
#include "heap_audit.h"
#include "liveblocks.h"

typedef struct visitor {
    fallow_visit *visit;
    void *context;
} visitor;

static bool walk_slab(const fl_slab *slab, const visitor *to) {
    fl_blocks blocks;
    /* Acquire: the links behind the head. */
    fl_blocks_find(slab, fl_word_head(atomic_load_explicit(&slab->word, memory_order_acquire)), &blocks);
    for (size_t i = 0; i < FL_BLOCKS_WORDS; i++)
        for (uint64_t rest = blocks.live[i]; rest; rest &= rest - 1) {
            size_t index = i * 64 + (size_t)__builtin_ctzll(rest);
            if (!to->visit(to->context, slab->start + index * slab->block_bytes, slab->block_bytes))
                return false;
        }
    return true;
}

static bool walk_region(const fl_region *region, const visitor *to) {
    const _Atomic fl_entry *entries = &fl_the_window.table[fl_region_index(region) * FL_REGION_PAGES];
    for (size_t page = 0; page < FL_REGION_PAGES; page++) {
        fl_entry entry = atomic_load_explicit(&entries[page], memory_order_relaxed);
        const fl_slab *slab = fl_entry_slab(entry);
        if (entry == 0 || slab->start != fl_region_start(region) + (page << FL_PAGE_SHIFT))
            continue; /* nobody's, or not the first page */
        bool on = slab->kind == FL_KIND_SLAB
                      ? walk_slab(slab, to)
                      : to->visit(to->context, slab->start, slab->pages << FL_PAGE_SHIFT);
        if (!on)
            return false;
    }
    return true;
}

bool fallow_arena_walk(fallow_arena *arena, fallow_visit *visit, void *context) {
    visitor to = {visit, context};
    bool on = true;
    fl_audit_arena_unused(arena);
    fl_lock_take(&arena->pages.lock); /* regions neither come nor go */
    for (const fl_region *region = arena->pages.regions; region && on; region = region->next)
        on = walk_region(region, &to);
    fl_lock_drop(&arena->pages.lock);
    return on;
}
