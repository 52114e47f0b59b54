/* SPDX-License-Identifier: MIT */
/*
 * arena_life.c: arenas come and go: made, emptied, ended with all that is below; and fork, which needs every lock that is not
 * one thread's own.
 */
#include <pthread.h>

#include "../arena/driver.h"
#include "../arena/regions.h"
#include "../arena/scavenger.h"
#include "../arena/shed.h"
#include "../system/fork.h"
#include "heap_audit.h"
#include "owner.h"
#include "poison.h"
#include "purge.h"
#include "thread.h"

/* Descriptors: so many arenas have to end before another has the handle of one that was destroyed. */
#define ENDED_KEPT 64

/* Guarded by the lock of arenas. Destroyed: used again, the oldest first. */
static fallow_arena *ended_first, *ended_last;
static uint32_t ended_count;
fallow_arena *fl_arenas[FL_ARENAS_MAX];
uint32_t fl_arenas_used;

static fallow_arena *arena_descriptor(void) {
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    fallow_arena *arena = NULL;
    if (ended_count <= ENDED_KEPT && fl_arenas_used < FL_ARENAS_MAX &&
        (arena = fl_meta_alloc(sizeof *arena)) != NULL) {
        arena->slot = fl_arenas_used;
        fl_arenas[fl_arenas_used++] = arena;
    } else if ((arena = ended_first) != NULL) {
        ended_first = arena->next_free;
        ended_count--;
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    return arena;
}

/* Holds the lock of arenas. */
static void keep_descriptor(fallow_arena *arena) {
    arena->next_free = NULL;
    *(ended_first ? &ended_last->next_free : &ended_first) = arena;
    ended_last = arena;
    ended_count++;
}

static bool is_alive(const fallow_arena *arena) {
    return atomic_load_explicit(&arena->alive, memory_order_relaxed);
}

void fl_arena_check(const fallow_arena *arena, const char *doing) {
    if (__builtin_expect(!arena, 0))
        fl_fatal(doing, arena, "which is none (NULL)");
    if (__builtin_expect(!is_alive(arena), 0))
        fl_fatal(doing, arena, "which does not live: it was destroyed, by itself or with its parent");
}

/* Clears a region's table entries, and puts the descriptors behind them in front of a list: they are given up together when
 * no entry is left that leads to one. */
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
        if (slab->kind == FL_KIND_SLAB && slab->away) {
            uint64_t prepared;
            if (!fl_slab_level(slab, &prepared))
                fl_fatal("end of", slab->start, "the system neither gives nor takes back pages of a slab");
            fl_pages_note_prepared(&slab->arena->pages, slab->start, prepared);
        }
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

/* Slabs that wait for a tick count with the heaps that they were taken from, of which some have ended. */
static void forget_unsettled(fallow_arena *arena) {
    for (fl_slab *slab = arena->unsettled; slab; slab = slab->next)
        fl_heap_disown(
            fl_heap_by_tag(fl_word_owner(atomic_load_explicit(&slab->word, memory_order_relaxed))));
    arena->unsettled = NULL;
}

/* What it had is gone: blocks, heaps, lists. Its pages stay. */
static void forget_everything(fallow_arena *arena) {
    forget_unsettled(arena);
    fl_heap_abandon_all(arena);
    fl_slab *gone = NULL;
    for (const fl_region *region = arena->pages.regions; region; region = region->next) {
        gone = forget_blocks(region, gone);
        forget_poison(region);
    }
    fl_descriptors_give_list(gone);
    memset(arena->listed, 0, sizeof arena->listed);
    memset(arena->purged, 0, sizeof arena->purged);
    atomic_store_explicit(&arena->listed_count, 0, memory_order_relaxed);
    atomic_store_explicit(&arena->pages.heap_count, 0, memory_order_relaxed);
#if FL_CHECKS >= 2
    atomic_store_explicit(&arena->pool_pages, 0, memory_order_relaxed);
    arena->forked = false;
#endif
}

/* Among its parent's children, or out of there. */
static void link_to_parent(fallow_arena *arena) {
    fallow_arena *parent = arena->parent;
    arena->next_sibling = arena->previous_sibling = NULL;
    if (!parent)
        return;
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    arena->next_sibling = parent->children;
    if (arena->next_sibling)
        arena->next_sibling->previous_sibling = arena;
    parent->children = arena;
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
}

static void unlink_from_parent(fallow_arena *arena) {
    if (!arena->parent)
        return;
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    *(arena->previous_sibling ? &arena->previous_sibling->next_sibling : &arena->parent->children) =
        arena->next_sibling;
    if (arena->next_sibling)
        arena->next_sibling->previous_sibling = arena->previous_sibling;
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
}

/* As many may as there are arenas. */
static void join(fallow_arena *arena) {
    bool joined = fl_upkeep_join(&arena->pages.upkeep);
    FL_ASSERT(joined);
    (void)joined;
}

fallow_arena *fl_arena_new(const char *name, const osmem_backend *backend, fallow_arena *parent) {
    fallow_arena *arena = arena_descriptor();
    if (!arena)
        return NULL;
    size_t length = 0;
    while (name && name[length] && length < sizeof arena->name - 1) {
        arena->name[length] = name[length];
        length++;
    }
    arena->name[length] = '\0';
    if (parent)
        fl_arena_init_below(&arena->pages, arena->name, backend, &parent->pages);
    else
        fl_arena_init(&arena->pages, arena->name, backend, &fl_stat_process);
    arena->parent = parent;
    arena->children = NULL;
    arena->only_heap = NULL;
    fl_lock_init(&arena->lists_lock, FL_LOCK_LISTS);
    fl_lock_init(&arena->heaps_lock, FL_LOCK_HEAPS);
    arena->heaps = NULL;
    forget_everything(arena);
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS)); /* from here on, fork takes its locks: they are there */
    atomic_store_explicit(&arena->alive, true, memory_order_relaxed);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    join(arena);
    /* Last, as it is the first to end: in the child of a fork that comes in between, nobody ends it with its parent. */
    link_to_parent(arena);
    return arena;
}

bool fl_arena_use_by_one_thread(fallow_arena *arena) {
    arena->only_heap = fl_thread_heap_of_nobody(arena);
    return arena->only_heap != NULL;
}

void fl_arena_reset(fallow_arena *arena, size_t keep_bytes) {
    fl_audit_arena_unused(arena);
    /* Not a pause: in the child of a fork that comes in between, its books are half done, and nobody is to look into them
     * before it is reset again, or destroyed. */
    fl_upkeep_leave(&arena->pages.upkeep);
    bool one_thread = arena->only_heap != NULL;
    forget_everything(arena);
    if (one_thread) /* takes the heap that has just become free: this cannot fail */
        fl_arena_use_by_one_thread(arena);
    fl_pages_return_all(&arena->pages);
    join(arena);
    size_t keep = keep_bytes & ~(FL_PAGE_BYTES - 1), idle = arena->pages.ready_pages << FL_PAGE_SHIFT;
    if (idle > keep)
        fl_scavenger_give_back(&arena->pages, idle - keep, FL_CAUSE_REQUEST, false);
    fl_driver_note(&arena->pages);
}

void fl_arena_destroy(fallow_arena *arena) {
    while (arena->children)
        fl_arena_destroy(arena->children);
    fl_audit_arena_unused(arena);
    /* First out of everybody's reach: in the child of a fork that comes in between it stays half-ended, and nobody may come
     * by it there, who ends its parent for one. */
    unlink_from_parent(arena);
    fl_upkeep_leave(&arena->pages.upkeep);
    forget_everything(arena);
    fl_arena_end(&arena->pages);
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    atomic_store_explicit(&arena->alive, false, memory_order_relaxed);
    keep_descriptor(arena);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
}

/* What of arenas fork has to find free. (Heaps' own locks it leaves to their threads, of which the child has none but one.) */
static fl_lock *lock_of(fallow_arena *arena, fl_rank rank) {
    switch (rank) {
    case FL_LOCK_UPKEEP:
        return &arena->pages.upkeep.lock;
    case FL_LOCK_HEAPS:
        return &arena->heaps_lock;
    case FL_LOCK_LISTS:
        return &arena->lists_lock;
    case FL_LOCK_GROUND:
        return &arena->pages.ground_lock;
    case FL_LOCK_PAGES:
        return &arena->pages.lock;
    default:
        return NULL;
    }
}

/* All of them stand below the lock of all arenas, which is closed by then: none begins or ends to be alive. One that is not has
 * no locks that anybody could hold, or they are about to be made. */
static void each_lock(fl_rank rank, fl_fork_visit *visit) {
    if (rank <= FL_LOCK_ARENAS)
        return;
    if (rank == FL_LOCK_HEAP)
        fl_thread_visit_locks(visit);
    for (uint32_t slot = 0; slot < fl_arenas_used; slot++) {
        fl_lock *lock = is_alive(fl_arenas[slot]) ? lock_of(fl_arenas[slot], rank) : NULL;
        if (lock)
            visit(lock);
    }
}

static void fork_prepare(void) {
    fl_upkeep_hurry(true);
    fl_fork_prepare(each_lock);
    fl_upkeep_hurry(false);
}

static void fork_parent(void) {
    fl_fork_done(each_lock, false);
}

static void fork_child(void) {
    const struct fl_thread *self = fl_thread_record();
    for (uint32_t slot = 0; slot < fl_arenas_used; slot++)
        if (is_alive(fl_arenas[slot])) {
            fl_heap_reclaim_fork_child(fl_arenas[slot], self);
            fl_heap_fork_child(fl_arenas[slot], self);
#if FL_CHECKS >= 2
            fl_arenas[slot]->forked = true;
#endif
            fl_shed_fork_child_of(&fl_arenas[slot]->pages);
        }
    fl_shed_fork_child();
    fl_scavenger_fork_child();
    fl_driver_fork_child();
    fl_fork_done(each_lock, true);
}

void fl_fork_register(void) {
    static _Atomic bool registered;
    if (!atomic_exchange_explicit(&registered, true, memory_order_relaxed))
        pthread_atfork(fork_prepare, fork_parent, fork_child);
}
