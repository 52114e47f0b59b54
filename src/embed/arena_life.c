/* SPDX-License-Identifier: MIT */
#include "arena_life.h"

#include "fallow/arena.h"

#include "../arena/driver.h"
#include "../arena/limits.h"
#include "../arena/pages.h"
#include "../arena/regions.h"
#include "../arena/scavenger.h"
#include "../arena/shed.h"
#include "../heap/heap_audit.h"
#include "../heap/registry.h"
#include "../heap/thread.h"
#include "../profile/sites.h"
#include "../slab/units.h"
#include "../system/fatal.h"
#include "../system/poison.h"
#include "guarded.h"
#include "poollist.h"

/* Clears a region's table entries, and puts the descriptors behind them in front of a list: they are given up
 * together once no entry leads to any. */
static fl_slab *forget_blocks(const fl_region *region, fl_slab *gone) {
    _Atomic fl_entry *entries = &fl_the_window.table[fl_region_index(region) * FL_REGION_PAGES];
    for (size_t page = 0; page < FL_REGION_PAGES; page++) {
        if (!(region->mapped >> (page / FL_CHUNK_PAGES) & 1)) {
            page += FL_CHUNK_PAGES - 1;
            continue;
        }
        fl_entry entry = atomic_load_explicit(&entries[page], memory_order_relaxed);
        if (entry == 0)
            continue;
        fl_slab *slab = fl_entry_slab(entry);
        atomic_store_explicit(&entries[page], 0, memory_order_relaxed);
        if (slab->start != fl_region_start(region) + (page << FL_PAGE_SHIFT))
            continue;
        if (slab->kind == FL_KIND_SLAB && slab->decommitted) {
            uint64_t prepared;
            if (!fl_slab_level(slab, &prepared))
                fl_fatal("end of", slab->start,
                         "in which the system neither gives memory for pages nor takes them back");
            fl_pages_note_prepared(&slab->arena->pages, slab->start, prepared);
        }
        if (slab->kind == FL_KIND_LARGE)
            fl_sites_end(slab->sample);
        slab->next = gone;
        gone = slab;
    }
    return gone;
}

/* Pools that end with their arena leave poison behind. */
static void forget_poison(const fl_region *region) {
    for (size_t chunk = 0; chunk < FL_REGION_CHUNKS && fl_poison_is_there(); chunk++)
        if (region->mapped >> chunk & 1)
            fl_unpoison(fl_region_start(region) + chunk * FL_CHUNK_BYTES, FL_CHUNK_BYTES);
}

/* Slabs that wait for a tick count with the heaps that they were taken from, some of which have ended. */
static void forget_unsettled(fallow_arena *arena) {
    for (fl_slab *slab = arena->unsettled; slab; slab = slab->next)
        fl_heap_disown(
            fl_heap_by_tag(fl_word_owner(atomic_load_explicit(&slab->word, memory_order_relaxed))));
    arena->unsettled = NULL;
}

static bool forget_block(void *context, void *block, size_t bytes) {
    (void)context, (void)block, (void)bytes;
    VALGRIND_FREELIKE_BLOCK(block, 0);
    return true;
}

/* Memcheck counts every block that nobody frees as a leak. */
static void tell_memcheck(fallow_arena *arena) {
    if (fl_memcheck_is_there() && fl_is_guarded(arena))
        fallow_arena_walk(fl_arena_handle(arena), forget_block, NULL);
}

/* Forgets what it had: blocks, heaps, lists. Its pages stay. */
static void forget_everything(fallow_arena *arena) {
    fl_guarded_end(arena);
    forget_unsettled(arena);
    fl_threads_leave(arena);
    fl_pools_forget(arena);
    fl_slab *gone = NULL;
    for (const fl_region *region = arena->pages.regions; region; region = region->next) {
        gone = forget_blocks(region, gone);
        forget_poison(region);
    }
    fl_descriptors_give_list(gone);
    /* In the child of a fork: a slab that another thread was just making, or giving up, is in no table. */
    if (atomic_load_explicit(&arena->pages.decommitted_bytes, memory_order_relaxed))
        fl_regions_ready_granted(&arena->pages);
    memset(arena->listed, 0, sizeof arena->listed);
    memset(arena->purged, 0, sizeof arena->purged);
    atomic_store_explicit(&arena->listed_count, 0, memory_order_relaxed);
    atomic_store_explicit(&arena->pages.heap_count, 0, memory_order_relaxed);
#if FL_CHECKS >= 2
    atomic_store_explicit(&arena->pool_pages, 0, memory_order_relaxed);
    arena->forked = false;
#endif
}

/* An arena that a call-back in this very thread is about is still needed when that returns. */
static void check_unneeded(const fallow_arena *arena, const char *doing) {
    if (__builtin_expect(fl_call_back_needs(&arena->pages), 0))
        fl_fatal(doing, fl_arena_handle(arena),
                 "inside a call-back that concerns it: a shedder, or a visitor");
}

bool fl_arena_use_by_one_thread(fallow_arena *arena) {
    arena->only_heap = fl_thread_heap_of_nobody(arena);
    return arena->only_heap != NULL;
}

/* Ends what nobody comes by any more. */
static void end(fallow_arena *arena) {
    forget_everything(arena);
    fl_pagearena_end(&arena->pages);
    fl_arena_gone(arena);
}

/* The one heap of an arena for one thread is always at hand, where a guarded arena's heap must not be. */
static bool prepare(fallow_arena *arena, bool one_thread) {
    return fl_guarded_begin(arena) &&
           (!one_thread || fl_is_guarded(arena) || fl_arena_use_by_one_thread(arena));
}

fallow_arena *fl_arena_make(const fallow_arena_options *options, fallow_arena *parent) {
    fallow_arena *arena = fl_arena_new(options->name, options->backend, parent);
    if (!arena)
        return NULL;
    if (!prepare(arena, options->flags & FALLOW_ARENA_ONE_THREAD)) {
        end(arena);
        return NULL;
    }
    fl_limits_set(&arena->pages, options->soft_limit_bytes, options->limit_bytes);
    fl_limits_set_idle_max(&arena->pages, options->idle_max_bytes);
    fl_limits_set_policy(&arena->pages, options->give_back == FALLOW_GIVE_BACK_NEVER,
                         options->give_back == FALLOW_GIVE_BACK_AT_ONCE);
    fl_arena_show(arena);
    return arena;
}

void fl_arena_reset(fallow_arena *arena, size_t keep_bytes) {
    check_unneeded(arena, "reset of arena");
    tell_memcheck(arena);
    fl_audit_arena_unused(arena);
    /* Not a pause: in the child of a fork that comes in between, its books are half done, and nobody may look
     * into them before it is reset again, or destroyed. */
    fl_upkeep_leave(&arena->pages.upkeep);
    bool one_thread = arena->only_heap != NULL;
    fl_arena_renew_contents(arena);
    forget_everything(arena);
    if (one_thread) /* takes the heap that has just become free, so this cannot fail */
        fl_arena_use_by_one_thread(arena);
    fl_pages_return_all(&arena->pages);
    fl_arena_join(arena);
    fl_shed_remind(&arena->pages);
    size_t keep = keep_bytes & ~(FL_PAGE_BYTES - 1), idle = arena->pages.ready_pages << FL_PAGE_SHIFT;
    if (idle > keep)
        fl_scavenger_give_back(&arena->pages, idle - keep, FL_CAUSE_REQUEST, false);
    fl_guarded_forbid(arena);
    fl_driver_note(&arena->pages);
}

void fl_arena_destroy(fallow_arena *arena) {
    check_unneeded(arena, "destroy of arena");
    while (arena->children)
        fl_arena_destroy(arena->children);
    tell_memcheck(arena);
    fl_audit_arena_unused(arena);
    fl_arena_leave(arena);
    fl_arena_renew_contents(arena);
    end(arena);
}
