/* SPDX-License-Identifier: MIT */
/*
 * quarantine.h: the hardened build's delayed reuse. A freed block waits in a ring of its heap until so many
 * others of about its size have been freed, with two words in front that say so; a large one waits
 * inaccessible, and holds no memory meanwhile. What waits is checked once meanwhile and once at the end: that
 * finds out whoever has written to these words.
 *
 * What waits counts as live to all others, and is bounded: FL_QUARANTINE_BYTES of a heap's blocks, FL_RUNS
 * large ones of FL_QUARANTINE_RUN_BYTES. It is gathered like batches (batches.h), with the same hand-shake:
 * at a limit, in upkeep, by malloc_trim and statistics, and at the thread's end it is handed over. Nothing
 * waits in an arena at a limit, or without a fence for all threads.
 */
#ifndef FL_QUARANTINE_H
#define FL_QUARANTINE_H

#include "../arena/scarce.h"
#include "heap.h"

#define FL_QUARANTINE_BLOCK_BYTES_MAX ((size_t)32 << 10) /* larger ones do not wait */
#define FL_QUARANTINE_BYTES ((size_t)288 << 10)
#define FL_QUARANTINE_RUN_BYTES ((size_t)256 << 20) /* of address space */

#if FL_HARDENED

/* For a heap that has none yet. */
void fl_quarantine_init(fl_heap *heap);

/* Writes the first words of a freed block, which say that it waits. */
static inline void fl_quarantine_begin(void *block) {
    uint64_t word = (uintptr_t)block ^ fl_the_secrets.wait;
    fl_mark_of(block)[0] = word;
    fl_mark_of(block)[1] = ~word;
}

_Noreturn void fl_quarantine_stop(const void *block);

/* By size: blocks of at most so many bytes, of which so many wait, a power of two. */
typedef struct fl_ring {
    size_t block_bytes_max;
    unsigned start, slots;
} fl_ring;

static const fl_ring fl_rings[FL_RINGS] = {{1 << 10, 0, 32}, {8 << 10, 32, 16}, {32 << 10, 48, 4}};

/* Counts among the used places of batches, so that code which asks whether a heap has gathered anything need
 * not know of quarantines. */
static inline void fl_quarantine_count(fl_heap *heap, int change) {
    uint32_t used = atomic_load_explicit(&heap->batches_used, memory_order_relaxed);
    atomic_store_explicit(&heap->batches_used, used + (uint32_t)change, memory_order_relaxed);
}

/* Acquire: sees what another thread did to it while it was closed. */
static inline bool fl_quarantine_is_open(fl_heap *heap) {
    return !atomic_load_explicit(&heap->batches_closed, memory_order_acquire) &&
           !fl_pagearena_is_scarce(&heap->arena->pages);
}

/* The heap's own state: one that all threads write to would be one that all wait for. */
static inline uint32_t fl_quarantine_chance(fl_quarantine *it) {
    it->chance = it->chance * 1664525 + 1013904223;
    return it->chance >> 16;
}

/* Stops the process unless the block is as it came here. */
static inline void fl_quarantine_check(const void *block) {
    const fl_any_word *words = fl_mark_of(block);
    uint64_t word = (uintptr_t)block ^ fl_the_secrets.wait;
    if (__builtin_expect((words[0] ^ word) | (words[1] ^ ~word), 0))
        fl_quarantine_stop(block);
}

static inline void fl_quarantine_end(void *block) {
    fl_quarantine_check(block);
    fl_mark_of(block)[0] = 0;
}

/* A block is checked when so many others have followed it. */
#define FL_LOOKED_AT_AFTER 8u

/* Puts a block into a ring. One of the older half goes for it, by chance: nobody can tell when it is handed
 * out again. */
static inline __attribute__((always_inline)) void *fl_ring_put(fl_heap *heap, const fl_ring *ring,
                                                               void *block) {
    uint32_t *next = &heap->quarantine.next[ring - fl_rings];
    void **slots = heap->quarantine.slots + ring->start;
    unsigned mask = ring->slots - 1, half = ring->slots / 2, at = (*next)++;
    const void *looked_at = slots[(at - FL_LOOKED_AT_AFTER) & mask];
    if (looked_at)
        fl_quarantine_check(looked_at);
    void **goes = &slots[(at + (fl_quarantine_chance(&heap->quarantine) & (half - 1))) & mask], *over = *goes;
    *goes = slots[at & mask];
    slots[at & mask] = block;
    if (__builtin_expect(!over, 0))
        fl_quarantine_count(heap, 1);
    return over;
}

/* Puts such a block there. Returns what is to be freed instead, which may be the block itself; NULL: nothing.
 * Stops the process if somebody has written to the words of one that waited. */
static inline __attribute__((always_inline)) void *fl_quarantine_put(fl_heap *heap, void *block,
                                                                     size_t block_bytes) {
    void *over = block;
    fl_heap_enter(heap, heap);
    if (__builtin_expect(fl_quarantine_is_open(heap), 1)) {
        if (__builtin_expect(block_bytes <= fl_rings[0].block_bytes_max, 1))
            over = fl_ring_put(heap, &fl_rings[0], block);
        else if (block_bytes <= fl_rings[1].block_bytes_max)
            over = fl_ring_put(heap, &fl_rings[1], block);
        else if (block_bytes <= fl_rings[2].block_bytes_max)
            over = fl_ring_put(heap, &fl_rings[2], block);
    }
    fl_heap_leave(heap);
    if (over)
        fl_quarantine_end(over);
    return over;
}

/* Puts a large block there, all of it made inaccessible. Returns NULL if it waits; another run that has to go
 * first, after which the caller puts this one again; or this one itself, if it cannot wait. */
fl_slab *fl_quarantine_put_run(fl_heap *heap, fl_slab *run);

/* Returns whether a block's first words say so. To a reader who does not own the block, either may be
 * said. */
bool fl_quarantine_is_waiting(const void *block);

/* Takes the next block out; large ones are given back on the way. Returns NULL if there are no more. Caller
 * has the heap in hand, like hand_over_all of batches.c. */
void *fl_quarantine_take(fl_heap *heap, fl_slab **slab);

#else

static inline void fl_quarantine_init(fl_heap *heap) {
    (void)heap;
}
void *fl_quarantine_take(fl_heap *heap, fl_slab **slab);

#endif
#endif
