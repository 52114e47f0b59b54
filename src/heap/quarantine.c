/* SPDX-License-Identifier: MIT */
#include "quarantine.h"

#include "../arena/scarce.h"
#include "../slab/misused.h"
#include "sealed.h"

#if FL_HARDENED

/* By size: so many bytes at most, and so many blocks wait. */
static const struct ring {
    uint32_t block_bytes_max;
    uint16_t start, slots;
} rings[FL_RINGS] = {{256, 0, 256}, {1 << 10, 256, 60}, {8 << 10, 316, 16}, {32 << 10, 332, 4}};

_Static_assert(FL_RING_SLOTS == 256 + 60 + 16 + 4, "all rings");
_Static_assert(256 * 256 + 60 * (1 << 10) + 16 * (8 << 10) + 4 * (32 << 10) <= FL_QUARANTINE_BYTES,
               "as documented");

static unsigned ring_of(size_t block_bytes) {
    unsigned ring = 0;
    while (block_bytes > rings[ring].block_bytes_max)
        ring++;
    return ring;
}

static void **slot_of(fl_heap *heap, unsigned ring, unsigned place) {
    unsigned slots = rings[ring].slots, at = heap->quarantine.first[ring] + place;
    return &heap->quarantine.slots[rings[ring].start + (at < slots ? at : at - slots)];
}

/* Among the used places of batches, so that who asks whether a heap has gathered anything need not know of quarantines. */
static void count_waiting(fl_heap *heap, int change) {
    uint32_t used = atomic_load_explicit(&heap->batches_used, memory_order_relaxed);
    atomic_store_explicit(&heap->batches_used, used + (uint32_t)change, memory_order_relaxed);
}

void fl_quarantine_init(fl_heap *heap) {
    memset(&heap->quarantine, 0, sizeof heap->quarantine);
    heap->quarantine.chance = (uint32_t)fl_hardening_random();
}

/* Acquire: what another thread did to it while it was closed. */
bool fl_quarantine_is_open(fl_heap *heap) {
    return !atomic_load_explicit(&heap->batches_closed, memory_order_acquire) &&
           !fl_pagearena_is_scarce(&heap->arena->pages);
}

static void *take_oldest(fl_heap *heap, unsigned ring) {
    fl_quarantine *it = &heap->quarantine;
    if (it->count[ring] == 0)
        return NULL;
    void *block = *slot_of(heap, ring, 0);
    it->first[ring] = (uint16_t)(it->first[ring] + 1 < rings[ring].slots ? it->first[ring] + 1 : 0);
    it->count[ring]--;
    count_waiting(heap, -1);
    return block;
}

/* The heap's own: what all threads write to would be what all wait for. */
static uint32_t next_chance(fl_quarantine *it) {
    it->chance = it->chance * 1664525 + 1013904223;
    return it->chance >> 8;
}

/* Among the newer half of those that wait, by chance: nobody knows when it is somebody's again. */
static void add(fl_heap *heap, unsigned ring, void *block) {
    unsigned count = heap->quarantine.count[ring]++;
    void **place = slot_of(heap, ring, count);
    void **other = slot_of(heap, ring, count - next_chance(&heap->quarantine) % (count / 2 + 1));
    *place = *other;
    *other = block;
    count_waiting(heap, 1);
}

void *fl_quarantine_put(fl_heap *heap, void *block, size_t block_bytes) {
    if (block_bytes > FL_QUARANTINE_BLOCK_BYTES_MAX)
        return block;
    unsigned ring = ring_of(block_bytes);
    void *over = block;
    fl_heap_enter(heap, heap);
    if (fl_quarantine_is_open(heap)) {
        over = heap->quarantine.count[ring] == rings[ring].slots ? take_oldest(heap, ring) : NULL;
        add(heap, ring, block);
    }
    fl_heap_leave(heap);
    return over;
}

static fl_slab *take_oldest_run(fl_heap *heap) {
    fl_quarantine *it = &heap->quarantine;
    if (it->run_count == 0)
        return NULL;
    fl_slab *run = it->runs[it->first_run];
    it->first_run = (uint16_t)((it->first_run + 1) % FL_RUNS);
    it->run_count--;
    it->run_bytes -= run->pages << FL_PAGE_SHIFT;
    count_waiting(heap, -1);
    return run;
}

fl_slab *fl_quarantine_put_run(fl_heap *heap, fl_slab *run) {
    fl_quarantine *it = &heap->quarantine;
    size_t bytes = run->pages << FL_PAGE_SHIFT;
    fl_slab *over = run;
    fl_heap_enter(heap, heap);
    if (fl_quarantine_is_open(heap)) {
        bool has_room = it->run_count < FL_RUNS && it->run_bytes + bytes <= FL_QUARANTINE_RUN_BYTES;
        over = has_room ? NULL : take_oldest_run(heap);
        if (has_room) {
            it->runs[(it->first_run + it->run_count++) % FL_RUNS] = run;
            it->run_bytes += bytes;
            count_waiting(heap, 1);
        }
    }
    fl_heap_leave(heap);
    return over;
}

bool fl_is_zero(const void *start, size_t bytes) {
    const fl_end_word *word = start;
    uint64_t any = 0;
    for (; bytes >= 64 && !any; bytes -= 64, word += 8)
        any = (word[0] | word[1]) | (word[2] | word[3]) | (word[4] | word[5]) | (word[6] | word[7]);
    for (; bytes >= 8; bytes -= 8)
        any |= *word++;
    return any == 0;
}

static uint64_t waiting_word(const void *block) {
    return fl_link_mark(block, fl_the_secrets.link);
}

void fl_quarantine_begin(const fl_slab *slab, void *block, uint64_t end_word) {
    fl_any_word *words = fl_mark_of(block);
    fl_end_write((char *)block + slab->block_bytes,
                 fl_end_make(block, FL_END_WAITING, fl_end_alignment_shift(end_word), 0));
    words[0] = waiting_word(block);
    words[1] = ~words[0];
    memset(words + 2, 0, fl_zeroed_bytes(slab->block_bytes));
}

/* Is it still as it came here? All of it is looked at now and then; who hands it out looks at all but these words. */
static inline void check(const fl_slab *slab, const void *block, bool all) {
    const fl_any_word *words = fl_mark_of(block);
    uint64_t end = fl_end_read((const char *)block + slab->block_bytes);
    if (words[0] != waiting_word(block) || words[1] != ~words[0] ||
        (all && !fl_is_zero(words + 2, fl_zeroed_bytes(slab->block_bytes))))
        fl_misuse(slab, "look at", block,
                  "written to after it was freed (it waits in quarantine, and is not as it was)");
    if (!fl_end_is_valid(block, end) || fl_end_state_of(end) != FL_END_WAITING)
        fl_misuse(slab, "look at", block,
                  "written to after it was freed, or from the block behind it (its end word is damaged)");
}

void fl_quarantine_look(fl_heap *heap, size_t block_bytes) {
    if (block_bytes > FL_QUARANTINE_BLOCK_BYTES_MAX)
        return;
    unsigned ring = ring_of(block_bytes);
    fl_quarantine *it = &heap->quarantine;
    fl_heap_enter(heap, heap);
    if (it->count[ring] && fl_quarantine_is_open(heap)) {
        if (it->looked[ring] >= it->count[ring])
            it->looked[ring] = 0;
        const void *block = *slot_of(heap, ring, it->looked[ring]++);
        check(fl_entry_slab(fl_entry_of(block)), block, true);
    }
    fl_heap_leave(heap);
}

void fl_quarantine_end(const fl_slab *slab, void *block) {
    check(slab, block, false);
    fl_mark_of(block)[0] = 0;
    fl_end_write((char *)block + slab->block_bytes, fl_end_make(block, FL_END_FREE, 0, 0));
}

void *fl_quarantine_take(fl_heap *heap, fl_slab **slab) {
    for (fl_slab *run; (run = take_oldest_run(heap)) != NULL;)
        fl_sealed_give(NULL, run);
    for (unsigned ring = 0; ring < FL_RINGS; ring++) {
        void *block = take_oldest(heap, ring);
        if (!block)
            continue;
        *slab = fl_entry_slab(fl_entry_of(block));
        fl_quarantine_end(*slab, block);
        return block;
    }
    return NULL;
}

#else
typedef int fl_no_quarantine; /* a file must not be empty */
#endif
