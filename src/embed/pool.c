/* SPDX-License-Identifier: MIT */
/*
 * pool.c: bump allocation in chunks of whole pages. The pool itself lies in its oldest chunk, which leads to
 * it while it lives. A pool that was destroyed is told from its successor in the same memory by where in the
 * chunk it lies, each time some bytes further on; one that ended with all of its arena, by the number of the
 * arena's contents. The handle has no number in it, as an arena's does: an allocation would have to take it
 * out again. Copies and strings are in pooltext.c.
 */
#include "fallow/pool.h"
#include "../arena/pages.h"
#include "../system/arithmetic.h"
#include "atfork.h"
#include "guarded.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "../heap/alloc.h"
#include "../heap/startup.h"
#include "../heap/thread.h"
#include "../system/fatal.h"
#include "../system/poison.h"
#include "poolbooks.h"
#include "poollist.h"

#define ALIGNMENT ((size_t)16)
#define CHUNK_HEADER_BYTES ((sizeof(chunk) + ALIGNMENT - 1) & ~(ALIGNMENT - 1))
#define POOL_HEADER_BYTES ((sizeof(fallow_pool) + ALIGNMENT - 1) & ~(ALIGNMENT - 1))
#define CHUNK_PAGES_MAX ((size_t)16)

#define PLACES ((size_t)32) /* for a pool in its chunk, by turns */

static chunk *chunk_of(const fallow_pool *pool) {
    return (chunk *)((uintptr_t)pool & ~(uintptr_t)(FL_PAGE_BYTES - 1));
}

/* Its page may by now be another's, or nobody's; addresses that were never fallow's are not looked at. */
static bool is_live(const fallow_pool *pool) {
    size_t page = ((uintptr_t)pool - fl_the_window.base) >> FL_PAGE_SHIFT;
    if (page >= atomic_load_explicit(&fl_the_window.pages, memory_order_relaxed))
        return false;
    const fallow_arena *arena = (const fallow_arena *)atomic_load_explicit(
        &fl_the_window.regions[page / FL_REGION_PAGES].arena, memory_order_relaxed); /* its first member */
    const chunk *it = chunk_of(pool);
    return arena && it->pool == pool &&
           it->contents == atomic_load_explicit(&arena->contents, memory_order_relaxed);
}

static void check_live(const fallow_pool *pool, const char *doing) {
    if (__builtin_expect(!pool || !is_live(pool), 0))
        fl_fatal(doing, pool,
                 pool ? "which is not a live pool: it was destroyed, or never created" : "which is NULL");
}

static void check_owner(const fallow_pool *pool) {
    if (FL_CHECKS && !pthread_equal(pool->owner, pthread_self()))
        fl_fatal("use of pool", pool, "by another thread than its owner's");
}

static bool is_within_limits(const fallow_pool *pool, size_t more_pages) {
    for (; pool; pool = pool->parent)
        if (pool->held_pages + more_pages > pool->limit_pages)
            return false;
    return true;
}

static void count_held(fallow_pool *pool, size_t pages, bool more) {
    for (; pool; pool = pool->parent)
        pool->held_pages += more ? pages : -pages;
}

static void poison_chunk(const chunk *it) {
    fl_poison((const char *)it + CHUNK_HEADER_BYTES, (it->pages << FL_PAGE_SHIFT) - CHUNK_HEADER_BYTES);
}

/* For audits: no table and no list leads to a pool's pages. */
static void count_for_audit(fallow_arena *arena, size_t pages, bool more) {
#if FL_CHECKS >= 2
    fl_pagearena_count(&arena->pool_pages, pages, more);
#else
    (void)arena, (void)pages, (void)more;
#endif
}

/* Gets a chunk that holds so many bytes, from the spans that the thread's heap keeps, or granted. for_pool
 * NULL: the pool is to lie in it. Returns NULL if there is no memory, or a limit is in the way. */
static chunk *chunk_new(fallow_arena *arena, fallow_pool *for_pool, size_t bytes) {
    bool zeroed;
    size_t pages = fl_pages_for(bytes + CHUNK_HEADER_BYTES);
    if (bytes > PTRDIFF_MAX || (for_pool && !is_within_limits(for_pool, pages)))
        return NULL;
    fl_heap *heap = fl_thread_heap_in(fl_arena_handle(arena));
    if (!heap)
        return NULL;
    heap->pinned++;
    size_t got = pages;
    chunk *made = (chunk *)fl_spans_take_longer_or_grant(&heap->kept.spans, &arena->pages, &got, &zeroed);
    if (!made || !for_pool || is_within_limits(for_pool, got))
        pages = got;
    else /* a kept span may be longer than asked for, and the limit is exact */
        fl_pages_return(&arena->pages, (char *)made + (pages << FL_PAGE_SHIFT), got - pages);
    heap->pinned--;
    fl_thread_heap_done(heap);
    if (made) {
        made->pages = pages;
        made->pool = NULL;
        poison_chunk(made);
        count_held(for_pool, pages, true);
        count_for_audit(arena, pages, true);
    }
    return made;
}

/* Only the heap's own thread may keep spans in it; a thread that has none returns them to the arena. */
static void chunk_free(fallow_arena *arena, fallow_pool *of_pool, chunk *it) {
    size_t pages = it->pages;
    count_held(of_pool, pages, false);
    count_for_audit(arena, pages, false);
    if (fl_poison_may_stay())
        fl_poison(it, pages << FL_PAGE_SHIFT);
    else
        fl_unpoison(it, pages << FL_PAGE_SHIFT);
    fl_heap *heap = fl_thread_heap_if_any(fl_arena_handle(arena));
    if (heap->arena == arena)
        fl_spans_put(&heap->kept.spans, &arena->pages, (char *)it, pages);
    else
        fl_pages_return(&arena->pages, (char *)it, pages);
}

static bool holds_pool(const fallow_pool *pool, const chunk *it) {
    return it->pool == pool;
}

static char *first_byte(const fallow_pool *pool, chunk *it) {
    return holds_pool(pool, it) ? (char *)pool + POOL_HEADER_BYTES : (char *)it + CHUNK_HEADER_BYTES;
}

static void start_in(fallow_pool *pool, chunk *it, char *next) {
    pool->newest = it;
    pool->from = first_byte(pool, it);
    pool->next = next;
    pool->end = (char *)it + (it->pages << FL_PAGE_SHIFT);
    pool->fast_end = fl_poison_is_there() ? next : pool->end;
    fl_poison(next, (size_t)(pool->end - next));
}

static size_t next_place(void) {
    static _Atomic size_t made;
    return CHUNK_HEADER_BYTES +
           atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) % PLACES * ALIGNMENT;
}

static fallow_pool *create(fallow_arena *arena, fallow_pool *parent) {
    chunk *first = chunk_new(arena, parent, PLACES * ALIGNMENT + POOL_HEADER_BYTES);
    if (!first) {
        errno = ENOMEM;
        return NULL;
    }
    first->older = NULL;
    fallow_pool *pool = (fallow_pool *)((char *)first + next_place());
    fl_unpoison(pool, POOL_HEADER_BYTES);
    first->pool = pool;
    first->contents = atomic_load_explicit(&arena->contents, memory_order_relaxed);
    *pool = (fallow_pool){.arena = arena,
                          .parent = parent,
                          .held_pages = first->pages,
                          .limit_pages = SIZE_MAX,
                          .owner = parent ? parent->owner : pthread_self()};
    if (parent) {
        pool->event = ++parent->events;
        pool->next_sibling = parent->children;
        if (pool->next_sibling)
            pool->next_sibling->previous_sibling = pool;
        parent->children = pool;
    }
    start_in(pool, first, first_byte(pool, first));
    fl_pools_add(arena, &pool->in_arena);
    return pool;
}

fallow_pool *fallow_pool_create(fallow_arena *arena) {
    if (!fl_process_init()) {
        errno = ENOMEM;
        return NULL;
    }
    fl_fork_register();
    fl_show_leak_roots();
    return create(arena ? fl_arena_at(arena, "pool of arena") : fl_process_arena, NULL);
}

fallow_pool *fallow_pool_create_child(fallow_pool *parent) {
    check_live(parent, "child of pool");
    check_owner(parent);
    return create(parent->arena, parent);
}

void fallow_pool_set_limit(fallow_pool *pool, size_t bytes) {
    check_live(pool, "limit of pool");
    check_owner(pool);
    pool->limit_pages = bytes ? bytes >> FL_PAGE_SHIFT : SIZE_MAX;
}

static size_t next_chunk_bytes(const fallow_pool *pool) {
    size_t pages = pool->newest->pages * 2;
    return ((pages < CHUNK_PAGES_MAX ? pages : CHUNK_PAGES_MAX) << FL_PAGE_SHIFT) - CHUNK_HEADER_BYTES;
}

static size_t used_in_newest(const fallow_pool *pool) {
    return (size_t)(pool->next - pool->from);
}

static chunk *take_spare(fallow_pool *pool, size_t bytes) {
    chunk *spare = pool->spare;
    if (!spare || bytes + CHUNK_HEADER_BYTES > spare->pages << FL_PAGE_SHIFT)
        return NULL;
    pool->spare = NULL;
    return spare;
}

/* The rest of fallow_pool_alloc and its kin: bytes is rounded, and exceeds what is left. */
static void *alloc_in_new_chunk(fallow_pool *pool, size_t bytes) {
    check_live(pool, "allocation in pool");
    size_t usual = next_chunk_bytes(pool);
    bool is_large = bytes > usual / 2;
    chunk *made = is_large ? NULL : take_spare(pool, bytes);
    if (!made)
        made = chunk_new(pool->arena, pool, is_large ? bytes : usual);
    if (!made && !is_large) /* near a limit, as much as is needed */
        made = chunk_new(pool->arena, pool, bytes);
    if (!made) {
        errno = ENOMEM;
        return NULL;
    }
    char *object = (char *)made + CHUNK_HEADER_BYTES;
    if (is_large) { /* full at once: the one in use stays the newest */
        made->older = pool->large;
        pool->large = made;
        pool->used_before += bytes;
    } else {
        pool->used_before += used_in_newest(pool);
        made->older = pool->newest;
        start_in(pool, made, object + bytes);
    }
    return object;
}

/* Returns what an object takes: a multiple of 16, and under AddressSanitizer a gap behind it. SIZE_MAX: too
 * much. */
static size_t rounded(size_t bytes) {
    size_t with_gap = bytes + (fl_poison_is_there() ? ALIGNMENT : 0) + (bytes == 0);
    size_t whole = (with_gap + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    return whole < bytes ? SIZE_MAX : whole;
}

static __attribute__((noinline)) void *alloc_slow(fallow_pool *pool, size_t bytes) {
    size_t whole = rounded(bytes);
    void *object = pool->next;
    if (whole > (size_t)(pool->end - pool->next)) {
        object = alloc_in_new_chunk(pool, whole);
        if (!object)
            return NULL;
    } else
        pool->next += whole;
    if (fl_poison_is_there()) {
        pool->fast_end = pool->next;
        fl_unpoison_new(object, bytes);
    }
    return object;
}

void *fallow_pool_alloc(fallow_pool *pool, size_t bytes) {
    if (FL_CHECKS) /* first: who owns one that has ended does not matter */
        check_live(pool, "allocation in pool");
    check_owner(pool);
    /* 0 bytes, and numbers that round up to 0, are left to the slow path. */
    size_t whole = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    char *object = pool->next;
    if (__builtin_expect(whole - 1 >= (size_t)(pool->fast_end - object), 0))
        return alloc_slow(pool, bytes);
    pool->next = object + whole;
    return object;
}

void *fallow_pool_alloc_aligned(fallow_pool *pool, size_t alignment, size_t bytes) {
    if (!fl_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    if (alignment <= ALIGNMENT)
        return fallow_pool_alloc(pool, bytes);
    if (bytes > PTRDIFF_MAX - alignment) {
        errno = ENOMEM;
        return NULL;
    }
    /* Skips as far as the next aligned address from here if all of it fits; else as far as any new chunk may
     * need. */
    size_t skip = -(uintptr_t)pool->next & (alignment - 1), left = (size_t)(pool->end - pool->next);
    if (skip > left || rounded(bytes) > left - skip)
        skip = alignment - ALIGNMENT;
    char *start = fallow_pool_alloc(pool, skip + bytes);
    return start ? (char *)(((uintptr_t)start + alignment - 1) & ~(uintptr_t)(alignment - 1)) : NULL;
}

bool fallow_pool_on_clean_up(fallow_pool *pool, void (*call)(void *context), void *context) {
    clean_up *it = fallow_pool_alloc(pool, sizeof *it);
    if (!it)
        return false;
    *it = (clean_up){pool->clean_ups, ++pool->events, call, context};
    pool->clean_ups = it;
    return true;
}

/* Returns where the newest one of them is linked; NULL if there is none. */
static clean_up **find_clean_up(fallow_pool *pool, void (*call)(void *context), const void *context) {
    clean_up **place = &pool->clean_ups;
    while (*place && ((*place)->call != call || (*place)->context != context))
        place = &(*place)->earlier;
    return *place ? place : NULL;
}

bool fallow_pool_cancel_clean_up(fallow_pool *pool, void (*call)(void *context), void *context) {
    check_live(pool, "clean-up of pool");
    check_owner(pool);
    clean_up **place = find_clean_up(pool, call, context);
    if (place)
        *place = (*place)->earlier;
    return place != NULL;
}

bool fallow_pool_move_clean_up(fallow_pool *from, fallow_pool *to, void (*call)(void *context),
                               void *context) {
    check_live(from, "clean-up of pool");
    check_live(to, "clean-up of pool");
    check_owner(from);
    clean_up **place = find_clean_up(from, call, context);
    if (!place) {
        errno = ENOENT;
        return false;
    }
    const clean_up *moved = *place;
    if (!fallow_pool_on_clean_up(to, call, context))
        return false;
    if (from == to) /* the new one stands in front */
        place = &to->clean_ups;
    while (*place != moved)
        place = &(*place)->earlier;
    *place = moved->earlier;
    return true;
}

/* Undoes what came after an event, the last first, and what comes while it does so. */
static void undo(fallow_pool *pool, uint64_t event) {
    for (pool->undoes = true;;) {
        uint64_t child = pool->children ? pool->children->event : 0;
        uint64_t clean_up_event = pool->clean_ups ? pool->clean_ups->event : 0;
        if (child > event) /* all of these first: clean-ups find none that was made since */
            fallow_pool_destroy(pool->children);
        else if (clean_up_event > event) {
            clean_up *it = pool->clean_ups;
            pool->clean_ups = it->earlier;
            it->call(it->context);
        } else
            break;
    }
    pool->undoes = false;
}

static void check_undo(const fallow_pool *pool, const char *doing) {
    check_live(pool, doing);
    if (__builtin_expect(pool->undoes, 0))
        fl_fatal(doing, pool, "by one of its own clean-ups, or a child's");
}

static void free_chunks(fallow_pool *pool, chunk *from, const chunk *stays) {
    for (chunk *it = from, *older; it != stays; it = older) {
        older = it->older;
        chunk_free(pool->arena, pool, it);
    }
}

fallow_pool_mark fallow_pool_mark_here(const fallow_pool *pool) {
    check_live(pool, "mark of pool");
    uint64_t event = ++((fallow_pool *)pool)->events; /* its own: all that it has lies before or after */
    return (fallow_pool_mark){.pool = pool,
                              .newest = pool->newest,
                              .large = pool->large,
                              .next = pool->next,
                              .events = event,
                              .used_before = pool->used_before,
                              .resets = pool->resets};
}

static bool is_in(const chunk *list, const void *wanted) {
    while (list && list != wanted)
        list = list->older;
    return list == wanted;
}

static bool is_within(const chunk *it, const void *place) {
    return (size_t)((const char *)place - (const char *)it) <= it->pages << FL_PAGE_SHIFT;
}

static void check_mark(const fallow_pool *pool, const fallow_pool_mark *mark) {
    if (mark->pool != pool)
        fl_fatal("rewind of pool", pool, "to a mark of another pool");
    if (mark->resets != pool->resets)
        fl_fatal("rewind of pool", pool, "to a mark from before its reset");
    bool is_void = mark->events > pool->void_after && mark->events <= pool->void_until;
    if (is_void || !is_in(pool->newest, mark->newest) || !is_in(pool->large, mark->large) ||
        !is_within(mark->newest, mark->next) ||
        (mark->newest == pool->newest && (char *)mark->next > pool->next))
        fl_fatal("rewind of pool", pool, "to a mark that an earlier rewind has invalidated");
}

void fallow_pool_rewind(fallow_pool *pool, fallow_pool_mark mark) {
    check_undo(pool, "rewind of pool");
    check_owner(pool);
    check_mark(pool, &mark);
    undo(pool, mark.events);
    pool->void_after = mark.events;
    pool->void_until = pool->events;
    free_chunks(pool, pool->large, mark.large);
    pool->large = mark.large;
    free_chunks(pool, pool->newest, mark.newest);
    start_in(pool, mark.newest, mark.next);
    pool->used_before = mark.used_before;
}

static void drop_spare(fallow_pool *pool) {
    if (pool->spare)
        chunk_free(pool->arena, pool, pool->spare);
    pool->spare = NULL;
}

void fallow_pool_reset(fallow_pool *pool) {
    check_undo(pool, "reset of pool");
    check_owner(pool);
    undo(pool, 0);
    pool->resets++;
    free_chunks(pool, pool->large, NULL);
    pool->large = NULL;
    chunk *newest = pool->newest, *first = newest;
    while (!holds_pool(pool, first))
        first = first->older;
    if (newest != first) {
        free_chunks(pool, newest->older, first);
        drop_spare(pool);
        poison_chunk(newest);
        pool->spare = newest;
    }
    start_in(pool, first, first_byte(pool, first));
    pool->used_before = 0;
}

void fallow_pool_destroy(fallow_pool *pool) {
    if (!pool)
        return;
    check_undo(pool, "destroy of pool");
    fallow_pool_reset(pool);
    if (pool->parent) {
        *(pool->previous_sibling ? &pool->previous_sibling->next_sibling : &pool->parent->children) =
            pool->next_sibling;
        if (pool->next_sibling)
            pool->next_sibling->previous_sibling = pool->previous_sibling;
    }
    drop_spare(pool);
    fl_pools_remove(pool->arena, &pool->in_arena);
    pool->newest->pool = NULL;
    chunk_free(pool->arena, pool->parent, pool->newest); /* with the pool in it */
}

static void take_over(fallow_pool *pool, pthread_t owner) {
    pool->owner = owner;
    for (fallow_pool *child = pool->children; child; child = child->next_sibling)
        take_over(child, owner);
}

void fallow_pool_take_over(fallow_pool *pool) {
    check_live(pool, "take-over of pool");
    take_over(pool, pthread_self());
}

size_t fallow_pool_used_bytes(const fallow_pool *pool) {
    check_live(pool, "figures of pool");
    return pool->used_before + used_in_newest(pool);
}

size_t fallow_pool_held_bytes(const fallow_pool *pool) {
    check_live(pool, "figures of pool");
    return pool->held_pages << FL_PAGE_SHIFT;
}
