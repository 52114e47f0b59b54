/* SPDX-License-Identifier: MIT */
#include "sampled.h"

#include "../arena/charge.h"
#include "../slab/large.h"
#include "../system/probes.h"
#include "../system/system.h"

/* How much to allocate until the next look whether there is a profile: its beginning may be missed, as
 * whoever begins one writes the gap meanwhile. */
#define UNSAMPLED_BYTES ((int64_t)1 << 20)

static _Atomic uint32_t trap_mean; /* guards nothing; changes under the lock of arenas */

/* Blocks of the process's arena are trapped, those of any are sampled. */
bool fl_sampling_counts(const fallow_arena *arena) {
    return fl_sampling_shift() >= 0 ||
           (arena == fl_process_arena && atomic_load_explicit(&trap_mean, memory_order_relaxed));
}

static void set_heaps(fallow_arena *arena) {
    bool counted = fl_sampling_counts(arena);
    fl_lock_take(&arena->heaps_lock);
    for (fl_heap *heap = arena->heaps; heap; heap = heap->next) {
        fl_lock_take(&heap->lock);
        fl_heap_set_counted(heap, counted);
        fl_lock_drop(&heap->lock);
    }
    fl_lock_drop(&arena->heaps_lock);
}

/* Holds the lock of arenas from the first look to the last heap: the next thread finds nothing left to do, or
 * another wish. */
void fl_sampling_follow(void) {
    if (FL_HARDENED) /* its large blocks are sealed, which sampled ones are not */
        return;
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    uint8_t wanted = atomic_load_explicit(&fl_the_sampling.wanted, memory_order_relaxed);
    if (wanted > FL_SHIFT_MAX + 1)
        wanted = FL_SHIFT_MAX + 1;
    uint8_t active = atomic_load_explicit(&fl_the_sampling.active, memory_order_relaxed);
    if (wanted != active) {
        /* Before the heaps' locks: a heap made later looks at it under them. */
        atomic_store_explicit(&fl_the_sampling.active, wanted, memory_order_relaxed);
        uint32_t slot = 0;
        for (fallow_arena *arena; (arena = fl_arena_next(&slot)) != NULL;)
            set_heaps(arena);
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
}

void fl_sampling_trap(uint32_t mean) {
    if (FL_HARDENED)
        return;
    fl_lock_take(fl_lock_of(FL_LOCK_ARENAS));
    atomic_store_explicit(&trap_mean, mean, memory_order_relaxed); /* before the heaps' locks, as above */
    set_heaps(fl_process_arena);
    fl_lock_drop(fl_lock_of(FL_LOCK_ARENAS));
}

static uint64_t *seed_of(fl_heap *heap) {
    if (!heap->sample_seed)
        heap->sample_seed = fl_chance_seed() | 1;
    return &heap->sample_seed;
}

static int64_t drawn(fl_heap *heap, int shift) {
    return (int64_t)fl_chance_gap(seed_of(heap), (unsigned)shift);
}

/* The gap is as likely to end at one byte as at the next, however far it is: so it simply goes on if nothing
 * has been counted for a while. */
bool fl_sampled_is_due(fl_heap *heap, size_t bytes) {
    int shift = fl_sampling_shift();
    if (shift < 0) /* counted for traps alone */
        fl_heap_set_sample_gap(heap, UNSAMPLED_BYTES);
    if (shift < 0 || bytes > PTRDIFF_MAX)
        return false;
    int64_t gap = fl_heap_sample_gap(heap);
    if (gap == 0)
        gap = drawn(heap, shift);
    gap -= (int64_t)bytes;
    bool due = gap < 0;
    fl_heap_set_sample_gap(heap, due ? drawn(heap, shift) : gap);
    return due;
}

/* Adds the time, so that each run of a program, and each child of a fork, traps other blocks than the
 * next. */
static uint32_t drawn_step(fl_heap *heap, uint32_t mean) {
    uint64_t *seed = seed_of(heap);
    *seed += fl_system_now_ns();
    return fl_chance_step(seed, mean);
}

bool fl_trapping_is_due(fl_heap *heap) {
    uint32_t mean = atomic_load_explicit(&trap_mean, memory_order_relaxed);
    if (!mean || heap->arena != fl_process_arena) {
        heap->trap_gap = UINT32_MAX; /* counted for the profile alone */
        return false;
    }
    if (heap->trap_gap == 0 || heap->trap_gap / 64 > mean) /* longer than any step: drawn for another mean */
        heap->trap_gap = drawn_step(heap, mean);
    if (--heap->trap_gap > 0)
        return false;
    heap->trap_gap = drawn_step(heap, mean);
    return true;
}

/* Returns whether there are pages for a sample without anything having to go for it, or be asked for. At a
 * limit the block is wanted, not its sample. (Apart, for the stack.) */
static __attribute__((noinline)) bool has_pages(fl_heap *heap, size_t bytes) {
    fl_pagearena *arena = &heap->arena->pages;
    fl_shortage ignored;
    return bytes > FL_CLASS_BYTES_MAX || atomic_load_explicit(&arena->idle_shown, memory_order_relaxed) ||
           fl_pagearena_has_room(arena, fl_pages_for(bytes) << FL_PAGE_SHIFT, &ignored);
}

static inline fl_sample *sample_of(const void *block, const fallow_arena *arena, size_t bytes, unsigned shift,
                                   const void *frame) {
    fl_sample *sample = fl_sites_add(frame, arena->name, bytes, shift);
    FL_PROBE3(sampled, block, bytes, sample ? sample->bytes : 0);
    (void)block; /* where there are no probes */
    return sample;
}

void *fl_sampled_alloc(fl_heap *heap, size_t bytes, const void *frame) {
    int shift = fl_sampling_shift();
    if (!has_pages(heap, bytes))
        return NULL;
    heap->pinned++; /* a shedder at a limit may use other arenas */
    void *block = fl_large_alloc(heap->arena, &heap->kept, bytes, 1);
    heap->pinned--;
    if (block && shift >= 0)
        fl_entry_slab(fl_entry_of(block))->sample =
            sample_of(block, heap->arena, bytes, (unsigned)shift, frame);
    return block;
}

/* Draws anew, sample or not: if only samples were drawn from, too few blocks that became smaller would be. */
void fl_sampled_note_large(fl_slab *run, size_t bytes, const void *frame) {
    int shift = fl_sampling_shift();
    fl_sample *before = run->sample;
    run->sample = NULL;
    fl_sites_end(before);
    if (shift >= 0 && fl_chance_hits(bytes, (unsigned)shift))
        run->sample = sample_of(run->start, run->arena, bytes, (unsigned)shift, frame);
}
