/* SPDX-License-Identifier: MIT */
/*
 * walk.c: shows every live block of an arena that nobody uses meanwhile, by what the table and the slabs say.
 */
#include "../arena/shed.h"
#include "../heap/batches.h"
#include "../heap/heap_audit.h"
#include "../heap/thread.h"
#include "../slab/liveblocks.h"
#include "../slab/traps.h"
#include "../system/fatal.h"
#include "fallow/arena.h"
#include "guarded.h"

typedef struct visitor {
    fallow_visit *visit;
    void *context;
    const fallow_arena *arena;
    size_t shown;
    bool certain; /* no thread has frees gathered, which another walk might hand over meanwhile */
} visitor;

/* What starts at a page: a slab and its live blocks, or a large block; slab NULL: neither. */
typedef struct start {
    const fl_slab *slab;
    size_t block_bytes;
    uint32_t live;
    fl_blocks blocks;
} start;

/* Caller holds the lock of threads; no thread uses the arena. */
static uint32_t count_live(const fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_acquire);
    return fl_word_live_with(word, fl_slab_used(slab));
}

/* Nobody uses the arena, but a thread that ends, or has many arenas, may be about to let its heap in it go.
 * The lock keeps it from that while we read what a slab says. (A page that is nobody's stays so.) */
static void look_at(const fl_region *region, size_t page, start *out) {
    const _Atomic fl_entry *entry = &fl_the_window.table[fl_region_index(region) * FL_REGION_PAGES + page];
    out->slab = NULL;
    if (!atomic_load_explicit(entry, memory_order_relaxed))
        return;
    fl_threads_lock();
    const fl_slab *slab = fl_entry_slab(atomic_load_explicit(entry, memory_order_relaxed));
    if (slab && slab->start == fl_region_start(region) + (page << FL_PAGE_SHIFT))
        out->slab = slab;
    if (out->slab && slab->kind == FL_KIND_SLAB) {
        out->block_bytes = slab->block_bytes;
        out->live = count_live(slab);
        /* Acquire: the links behind the head. */
        fl_blocks_find(slab, fl_word_head(atomic_load_explicit(&slab->word, memory_order_acquire)),
                       &out->blocks);
    }
    fl_threads_unlock();
}

static void check_unchanged(const visitor *to, bool same) {
    if (!same && to->certain)
        fl_fatal("walk of arena", fl_arena_handle(to->arena),
                 "while its visitor, or another thread, allocated or freed in it");
}

/* Returns whether the slab is as it was, as far as its counts tell. It may be another's by now, if the
 * visitor has freed its last block. */
static bool is_as_shown(const start *shown, const char *at, const fallow_arena *arena) {
    fl_threads_lock();
    const fl_slab *slab = shown->slab;
    bool same = slab->arena == arena && slab->start == at && count_live(slab) == shown->live;
    fl_threads_unlock();
    return same;
}

static size_t live_in(const fl_region *region) {
    const _Atomic fl_entry *entries = &fl_the_window.table[fl_region_index(region) * FL_REGION_PAGES];
    size_t live = 0;
    for (size_t page = 0; page < FL_REGION_PAGES; page++) {
        if (!atomic_load_explicit(&entries[page], memory_order_relaxed))
            continue;
        fl_threads_lock();
        fl_entry entry = atomic_load_explicit(&entries[page], memory_order_relaxed);
        const fl_slab *slab = entry ? fl_entry_slab(entry) : NULL;
        if (slab && slab->start == fl_region_start(region) + (page << FL_PAGE_SHIFT)) {
            live += slab->kind == FL_KIND_SLAB ? count_live(slab) : 1;
            page += slab->pages - 1;
        }
        fl_threads_unlock();
    }
    return live;
}

/* Counts by the slabs' counts, while the walk goes by each slab's list of free blocks. */
static size_t count_arena(fallow_arena *arena) {
    size_t live = 0;
    if (fl_is_guarded(arena)) /* what the visitor has freed waits there */
        fl_guarded_flush(arena);
    fl_batches_flush(arena, false);
    for (const fl_region *region = arena->pages.regions; region; region = region->next)
        live += live_in(region);
    return arena == fl_process_arena ? live + fl_traps_see().live_blocks : live;
}

static size_t held_by(const start *from, const void *block, size_t bytes, const visitor *to) {
    return fl_is_guarded(to->arena) ? fl_guarded_bytes(from->slab, block) : bytes;
}

static bool show_blocks(const start *from, char *at, visitor *to) {
    for (size_t i = 0; i < FL_BLOCKS_WORDS; i++)
        for (uint64_t rest = from->blocks.live[i]; rest; rest &= rest - 1) {
            size_t index = i * 64 + (size_t)__builtin_ctzll(rest);
            char *block = at + index * from->block_bytes;
            if (!to->visit(to->context, block, held_by(from, block, from->block_bytes, to)))
                return false;
        }
    return true;
}

static bool show(const start *from, char *at, visitor *to) {
    to->shown += from->slab->kind == FL_KIND_SLAB ? from->live : 1;
    if (from->slab->kind != FL_KIND_SLAB)
        return to->visit(to->context, at, held_by(from, at, from->slab->pages << FL_PAGE_SHIFT, to));
    bool on = show_blocks(from, at, to);
    check_unchanged(to, is_as_shown(from, at, to->arena));
    return on;
}

static bool walk_region(const fl_region *region, visitor *to) {
    start from;
    bool on = true;
    for (size_t page = 0; page < FL_REGION_PAGES && on; page++) {
        look_at(region, page, &from);
        if (from.slab)
            on = show(&from, fl_region_start(region) + (page << FL_PAGE_SHIFT), to);
    }
    return on;
}

/* Shows sampled blocks, which are the process's arena's. */
static bool walk_traps(visitor *to) {
    for (fl_trap *trap = fl_the_traps.all, *end = trap + atomic_load(&fl_the_traps.count); trap < end;
         trap++) {
        if (fl_trap_state_of(trap) != FL_TRAP_LIVE)
            continue;
        to->shown++;
        if (!to->visit(to->context, trap->as_slab.start, trap->as_slab.block_bytes))
            return false;
    }
    return true;
}

bool fallow_arena_walk(fallow_arena *handle, fallow_visit *visit, void *context) {
    fallow_arena *arena = fl_arena_at(handle, "walk of arena");
    visitor to = {visit, context, arena, 0, false};
    fl_call_back here;
    bool on = true;
    if (fl_is_guarded(arena))
        fl_guarded_flush(arena);
    fl_audit_arena_unused(arena);
    /* Upkeep must give nothing of it back meanwhile: its regions stay, and the lists of free blocks as they
     * are. No lock is held while the program is shown a block. */
    fl_upkeep_pause(&arena->pages.upkeep);
    fl_batches_flush(arena, false);
    to.certain = !fl_batches_are_left(arena);
    fl_call_back_begin(&here, &arena->pages, NULL, false);
    for (const fl_region *region = arena->pages.regions; region && on; region = region->next)
        on = walk_region(region, &to);
    if (on && arena == fl_process_arena)
        on = walk_traps(&to);
    fl_call_back_end(&here);
    check_unchanged(&to, !on || count_arena(arena) == to.shown);
    fl_upkeep_go_on(&arena->pages.upkeep);
    return on;
}
