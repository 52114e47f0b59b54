/* SPDX-License-Identifier: MIT */
/*
 * arena_api.c: the public face of arenas.
 */
#include "fallow/arena.h"

#include <errno.h>

#include "../arena/grant.h"
#include "../osmem/fatal.h"
#include "block.h"
#include "thread.h"

fallow_arena *fallow_arena_create(const char *name, size_t limit_bytes) {
    fallow_arena *arena = fl_process_init() ? fl_arena_new(name, limit_bytes) : NULL;
    fl_fork_register();
    if (!arena)
        errno = ENOMEM;
    return arena;
}

void fallow_arena_destroy(fallow_arena *arena) {
    if (arena)
        fl_arena_destroy(arena);
}

/* What all three allocations share. */
static void *finish(fl_heap *heap, void *block) {
    if (heap)
        fl_thread_heap_done(heap);
    if (!block)
        errno = ENOMEM;
    return block;
}

void *fallow_arena_alloc(fallow_arena *arena, size_t bytes) {
    fl_heap *heap = fl_thread_heap_in(arena);
    return finish(heap, heap ? fl_heap_alloc(heap, bytes) : NULL);
}

void *fallow_arena_alloc_zeroed(fallow_arena *arena, size_t bytes) {
    fl_heap *heap = fl_thread_heap_in(arena);
    return finish(heap, heap ? fl_block_alloc_zeroed(heap, bytes) : NULL);
}

void *fallow_arena_alloc_aligned(fallow_arena *arena, size_t alignment, size_t bytes) {
    if (alignment == 0 || (alignment & (alignment - 1))) {
        errno = EINVAL;
        return NULL;
    }
    fl_heap *heap = fl_thread_heap_in(arena);
    return finish(heap, heap ? fl_block_alloc_aligned(heap, alignment, bytes) : NULL);
}

void fallow_arena_free(fallow_arena *arena, void *block) {
    fl_heap_free(fl_thread_heap_if_any(arena), block);
}

void fallow_arena_set_limits(fallow_arena *arena, size_t soft_bytes, size_t hard_bytes) {
    fl_limits_set(&arena->pages, soft_bytes, hard_bytes);
}

void fallow_arena_set_idle_max(fallow_arena *arena, size_t idle_bytes) {
    fl_limits_set_idle_max(&arena->pages, idle_bytes);
}

void fallow_arena_on_limit(fallow_arena *arena, fallow_shed *shed, void *context) {
    fl_limits_on_shortage(&arena->pages, shed, context);
}

_Static_assert((int)FALLOW_CAUSE_COUNT == (int)FL_CAUSE_COUNT, "the same causes");

fallow_arena_figures fallow_arena_read(const fallow_arena *arena) {
    fallow_arena_figures figures = {0};
    const fl_arena *pages = &arena->pages;
    fl_lock *lock = (fl_lock *)&pages->lock;
    fl_lock_take(lock);
    osmem_bytes bytes = osmem_stat_read(&pages->stat, &figures.ready_peak_bytes);
    figures.prepared_bytes = bytes.prepared;
    figures.ready_bytes = bytes.ready;
    figures.granted_bytes = pages->used_pages << FL_PAGE_SHIFT;
    figures.idle_bytes = fl_arena_idle_pages(pages) << FL_PAGE_SHIFT;
    figures.largest_free_bytes = fl_pagetree_longest(&pages->tree) << FL_PAGE_SHIFT;
    figures.soft_limit_bytes = fl_limit_bytes(pages->limits.soft_pages);
    figures.limit_bytes = fl_limit_bytes(pages->limits.hard_pages);
    figures.idle_max_bytes = fl_limit_bytes(pages->limits.idle_pages);
    figures.grown_bytes = pages->grown_pages << FL_PAGE_SHIFT;
    figures.system_calls = pages->system_calls;
    for (size_t cause = 0; cause < FL_CAUSE_COUNT; cause++) {
        figures.given[cause].bytes = pages->given_bytes[cause];
        figures.given[cause].ns = pages->given_ns[cause];
    }
    fl_lock_drop(lock);
    return figures;
}

fallow_arena *fallow_arena_of(const void *block) {
    fl_entry entry = fl_entry_of(block);
    return entry ? fl_entry_slab(entry)->arena : NULL;
}
