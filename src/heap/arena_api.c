/* SPDX-License-Identifier: MIT */
/*
 * arena_api.c: the public face of arenas.
 */
#include "fallow/arena.h"

#include <errno.h>

#include "../arena/scavenger.h"
#include "../osmem/fatal.h"
#include "block.h"
#include "thread.h"

#define TICK_BUDGET_NS UINT64_C(1000000)

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

fallow_arena_figures fallow_arena_read(const fallow_arena *arena) {
    fallow_arena_figures figures = {0};
    fl_lock *lock = (fl_lock *)&arena->pages.lock;
    fl_lock_take(lock);
    osmem_bytes bytes = osmem_stat_read(&arena->pages.stat, &figures.ready_peak_bytes);
    figures.granted_bytes = arena->pages.used_pages << FL_PAGE_SHIFT;
    fl_lock_drop(lock);
    figures.prepared_bytes = bytes.prepared;
    figures.ready_bytes = bytes.ready;
    figures.limit_bytes =
        arena->pages.limits.hard_pages == SIZE_MAX ? 0 : arena->pages.limits.hard_pages << FL_PAGE_SHIFT;
    return figures;
}

fallow_arena *fallow_arena_of(const void *block) {
    fl_entry entry = fl_entry_of(block);
    return entry ? fl_slab_at((uint32_t)(entry >> 32))->arena : NULL;
}

int fallow_tick(void) {
    return fl_process_init() && fl_scavenger_tick(TICK_BUDGET_NS);
}
