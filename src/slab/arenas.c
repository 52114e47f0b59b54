/* SPDX-License-Identifier: MIT */
#include "arenas.h"

#include "../arena/family.h"
#include "../arena/pages.h"
#include "../system/fatal.h"

fallow_arena *fl_process_arena;

/* Guarded by the lock of arenas. Destroyed: to be used again. */
static fallow_arena *ended;
static uint64_t lives; /* how many arenas were ever made */
static _Atomic uint64_t contents;
fallow_arena *fl_arenas[FL_ARENAS_MAX];
uint32_t fl_arenas_used;

static fallow_arena *arena_descriptor(void) {
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    fallow_arena *arena;
    if ((arena = ended) != NULL)
        ended = arena->next_free;
    else if (fl_arenas_used < FL_ARENAS_MAX && (arena = fl_meta_alloc(sizeof *arena)) != NULL) {
        arena->slot = fl_arenas_used;
        fl_arenas[fl_arenas_used++] = arena;
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    return arena;
}

static bool is_alive(const fallow_arena *arena) {
    return atomic_load_explicit(&arena->alive, memory_order_relaxed);
}

fallow_arena *fl_arena_at(const fallow_arena *handle, const char *doing) {
    fallow_arena *arena = handle ? fl_arena_find(handle) : NULL;
    if (__builtin_expect(!arena, 0))
        fl_fatal(
            doing, handle,
            handle
                ? "which does not live: it was destroyed, by itself or with its parent, or never was an arena"
                : "which is NULL");
    return arena;
}

/* The number of a life is never 0, so that no handle is NULL, and so many arenas are never made that one
 * looks like an address of the program's. */
static fallow_arena *next_handle(const fallow_arena *arena) {
    return (fallow_arena *)(uintptr_t)(++lives * FL_ARENAS_MAX + arena->slot);
}

void fl_arena_renew_contents(fallow_arena *arena) {
    atomic_store_explicit(&arena->contents, 1 + atomic_fetch_add_explicit(&contents, 1, memory_order_relaxed),
                          memory_order_relaxed);
}

/* Link an arena to a parent's children, and unlink it. Caller holds the lock of arenas. */
static void link_to(fallow_arena *parent, fallow_arena *arena) {
    arena->next_sibling = arena->previous_sibling = NULL;
    if (!parent)
        return;
    arena->next_sibling = parent->children;
    if (arena->next_sibling)
        arena->next_sibling->previous_sibling = arena;
    parent->children = arena;
}

static void unlink_from(fallow_arena *parent, fallow_arena *arena) {
    if (!parent)
        return;
    *(arena->previous_sibling ? &arena->previous_sibling->next_sibling : &parent->children) =
        arena->next_sibling;
    if (arena->next_sibling)
        arena->next_sibling->previous_sibling = arena->previous_sibling;
}

/* As many may join as there are arenas. */
void fl_arena_join(fallow_arena *arena) {
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
        fl_pagearena_init_below(&arena->pages, arena->name, backend, &parent->pages);
    else
        fl_pagearena_init(&arena->pages, arena->name, backend, &fl_stat_process);
    arena->children = NULL;
    arena->only_heap = NULL;
    fl_lock_init(&arena->lists_lock, FL_LOCK_LISTS);
    fl_lock_init(&arena->heaps_lock, FL_LOCK_HEAPS);
    fl_lock_init(&arena->pools_lock, FL_LOCK_POOLS);
    /* As new, or as the end of the one before left it. */
    FL_ASSERT(!arena->unsettled && !arena->heaps && !arena->leaving_heaps && !arena->pools.newest &&
              !atomic_load_explicit(&arena->listed_count, memory_order_relaxed));
    fl_arena_renew_contents(arena);
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS)); /* from here on fork takes its locks, which are there */
    atomic_store_explicit(&arena->alive, true, memory_order_relaxed);
    fl_family_count(&arena->pages, true);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    return arena;
}

/* Under the lock: in the child of a fork it is there as a whole, or nobody comes by it, not even when its
 * parent ends. */
void fl_arena_show(fallow_arena *arena) {
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    atomic_store_explicit(&arena->handle, next_handle(arena), memory_order_release); /* what it has, first */
    link_to(fl_arena_parent(arena), arena);
    fl_arena_join(arena);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
}

void fl_arena_leave(fallow_arena *arena) {
    /* First out of everybody's reach. In the child of a fork that comes in between it stays half-ended, and
     * nobody may come by it there: not by ending its parent, nor by listing what is below another arena in
     * its parent's place. */
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    unlink_from(fl_arena_parent(arena), arena);
    fl_upkeep_part(&arena->pages.upkeep);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    fl_upkeep_leave(&arena->pages.upkeep); /* waits for those who came by it before */
    /* Not earlier: a thread that has it pinned may know it by its handle. */
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    atomic_store_explicit(&arena->handle, NULL, memory_order_relaxed);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
}

void fl_arena_gone(fallow_arena *arena) {
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    atomic_store_explicit(&arena->alive, false, memory_order_relaxed);
    fl_family_count(&arena->pages, false);
    arena->next_free = ended;
    ended = arena;
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
}

fallow_arena *fl_arena_next(uint32_t *slot) {
    while (*slot < fl_arenas_used) {
        fallow_arena *arena = fl_arenas[(*slot)++];
        if (is_alive(arena))
            return arena;
    }
    return NULL;
}

/* Takes, or drops, the locks without which nobody counts a byte of an arena and those below it, shown or not.
 * Only the holder of the lock of arenas may hold many of these at once: everybody else holds one, and waits
 * for no second one. */
static void hold_counts(fallow_arena *arena, void (*each)(fl_lock *lock)) {
    uint32_t slot = 0;
    each(&arena->pages.lock);
    if (!atomic_load_explicit(&arena->pages.arenas_below, memory_order_relaxed))
        return;
    for (fallow_arena *it; (it = fl_arena_next(&slot)) != NULL;)
        if (fl_family_is_below(&it->pages, &arena->pages))
            each(&it->pages.lock);
}

static fl_move move(fallow_arena *arena, fallow_arena *parent, fl_shortage *shortage) {
    fallow_arena *before = fl_arena_parent(arena);
    if (parent == before)
        return FL_MOVED;
    if (parent && (parent == arena || fl_family_is_below(&parent->pages, &arena->pages)))
        return FL_MOVE_CIRCLE;
    hold_counts(arena, fl_lock_take_unseen);
    bool moved = fl_family_move(&arena->pages, parent ? &parent->pages : NULL, shortage);
    hold_counts(arena, fl_lock_drop_unseen);
    if (!moved)
        return FL_MOVE_REFUSED;
    unlink_from(before, arena);
    link_to(parent, arena);
    return FL_MOVED;
}

fl_move fl_arena_set_parent(fallow_arena *arena, fallow_arena *parent, fl_shortage *shortage) {
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    fl_move result = move(arena, parent, shortage);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    return result;
}

fallow_arena *fl_arena_next_shown(uint32_t *slot) {
    fallow_arena *arena = fl_arena_next(slot);
    while (arena && !fl_arena_handle(arena))
        arena = fl_arena_next(slot);
    return arena;
}
