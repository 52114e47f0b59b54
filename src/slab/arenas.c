/* SPDX-License-Identifier: MIT */
#include "arenas.h"

#include "../arena/pages.h"
#include "../system/fatal.h"

/* Descriptors: so many arenas have to end before another has the handle of one that was destroyed. */
#define ENDED_KEPT 64

fallow_arena *fl_process_arena;

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
    arena->parent = parent;
    arena->children = NULL;
    arena->only_heap = NULL;
    fl_lock_init(&arena->lists_lock, FL_LOCK_LISTS);
    fl_lock_init(&arena->heaps_lock, FL_LOCK_HEAPS);
    /* As new, or as the end of the one before has left it. */
    FL_ASSERT(!arena->unsettled && !arena->heaps &&
              !atomic_load_explicit(&arena->listed_count, memory_order_relaxed));
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS)); /* from here on, fork takes its locks: they are there */
    atomic_store_explicit(&arena->alive, true, memory_order_relaxed);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
    fl_arena_join(arena);
    /* Last, as it is the first to end: in the child of a fork that comes in between, nobody ends it with its parent. */
    link_to_parent(arena);
    return arena;
}

void fl_arena_leave(fallow_arena *arena) {
    /* First out of everybody's reach: in the child of a fork that comes in between it stays half-ended, and nobody may come
     * by it there, who ends its parent for one. */
    unlink_from_parent(arena);
    fl_upkeep_leave(&arena->pages.upkeep);
}

void fl_arena_gone(fallow_arena *arena) {
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    atomic_store_explicit(&arena->alive, false, memory_order_relaxed);
    keep_descriptor(arena);
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
