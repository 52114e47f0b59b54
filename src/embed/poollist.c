/* SPDX-License-Identifier: MIT */
/*
 * poollist.c: which pools there are, shown beside threads that make and use them. It must call nobody with
 * the lock held, and follow no pointer of a pool's except the list's: a pool's chunks come and go without the
 * lock.
 */
#include "poollist.h"

#include <pthread.h>
#include <stddef.h>

#include "../arena/shed.h"
#include "../heap/startup.h"
#include "poolbooks.h"

static uintptr_t self(void) {
    return (uintptr_t)pthread_self();
}

/* Callers of these two hold the arena's lock of pools. */
static void link_behind(fl_pools *pools, fl_pool_link *it, fl_pool_link *newer) {
    it->newer = newer;
    it->older = newer ? newer->older : pools->newest;
    *(newer ? &newer->older : &pools->newest) = it;
    if (it->older)
        it->older->newer = it;
}

static void unlink_from(fl_pools *pools, const fl_pool_link *it) {
    *(it->newer ? &it->newer->older : &pools->newest) = it->older;
    if (it->older)
        it->older->newer = it->newer;
}

void fl_pools_add(fallow_arena *arena, fl_pool_link *pool) {
    fl_lock_take(&arena->pools_lock);
    link_behind(&arena->pools, pool, NULL);
    fl_lock_drop(&arena->pools_lock);
}

void fl_pools_remove(fallow_arena *arena, fl_pool_link *pool) {
    fl_lock_take(&arena->pools_lock);
    unlink_from(&arena->pools, pool);
    fl_lock_drop(&arena->pools_lock);
}

void fl_pools_forget(fallow_arena *arena) {
    arena->pools = (fl_pools){.newest = NULL};
}

void fl_pools_fork_child(fallow_arena *arena) {
    fl_pools *pools = &arena->pools;
    for (fl_pool_link *it = pools->visits ? pools->newest : NULL; it; it = it->older)
        if (it->visitor && it->visitor != self()) {
            unlink_from(pools, it);
            pools->visits--;
        }
}

#define LOOKS 4 /* at a pool that is allocated from all the time */

/* Its thread writes as it likes, one word after the other: what was the same twice counts as read. */
__attribute__((no_sanitize("thread"))) static size_t used_bytes(const fallow_pool *pool) {
    char *const volatile *from = &pool->from, *const volatile *next = &pool->next;
    const volatile size_t *used_before = &pool->used_before;
    size_t before = *used_before;
    for (int i = 0; i < LOOKS; i++) {
        uintptr_t begins = (uintptr_t)*from, ends = (uintptr_t)*next;
        atomic_thread_fence(memory_order_acquire);
        if (begins == (uintptr_t)*from && before == *used_before && begins <= ends)
            return before + (ends - begins);
        before = *used_before;
    }
    return before;
}

__attribute__((no_sanitize("thread"))) static fallow_pool_figures look_at(const fallow_pool *pool) {
    const volatile size_t *held_pages = &pool->held_pages, *limit_pages = &pool->limit_pages;
    size_t limit = *limit_pages;
    return (fallow_pool_figures){.parent = pool->parent, /* the same for its whole life */
                                 .used_bytes = used_bytes(pool),
                                 .held_bytes = *held_pages << FL_PAGE_SHIFT,
                                 .limit_bytes = limit == SIZE_MAX ? 0 : limit << FL_PAGE_SHIFT};
}

/* Returns the next pool, and puts the visit behind it; NULL at the end. */
static fallow_pool *go_on(fallow_arena *arena, fl_pool_link *visit, fallow_pool_figures *figures) {
    fallow_pool *pool = NULL;
    fl_lock_take(&arena->pools_lock);
    fl_pool_link *it = visit->older;
    while (it && it->visitor)
        it = it->older;
    if (it) {
        pool = (fallow_pool *)((char *)it - offsetof(fallow_pool, in_arena));
        *figures = look_at(pool);
        unlink_from(&arena->pools, visit);
        link_behind(&arena->pools, visit, it);
    }
    fl_lock_drop(&arena->pools_lock);
    return pool;
}

static void count_visit(fallow_arena *arena, fl_pool_link *visit, bool begins) {
    fl_lock_take(&arena->pools_lock);
    if (begins) {
        link_behind(&arena->pools, visit, NULL);
        arena->pools.visits++;
    } else {
        unlink_from(&arena->pools, visit);
        arena->pools.visits--;
    }
    fl_lock_drop(&arena->pools_lock);
}

bool fallow_pool_each(fallow_arena *handle, fallow_pool_visit *visit, void *context) {
    if (!fl_process_init())
        return true;
    fallow_arena *arena = handle ? fl_arena_at(handle, "pools of arena") : fl_process_arena;
    fl_pool_link place = {.visitor = self()};
    fallow_pool_figures figures;
    fl_call_back here;
    bool on = true;
    count_visit(arena, &place, true);
    fl_call_back_begin(&here, &arena->pages, NULL, false);
    for (fallow_pool *pool; on && (pool = go_on(arena, &place, &figures)) != NULL;)
        on = visit(context, pool, &figures);
    fl_call_back_end(&here);
    count_visit(arena, &place, false);
    return on;
}
