/* SPDX-License-Identifier: MIT */
#include "batches.h"

#include "../arena/scarce.h"
#include "../slab/abandoned.h"
#include "../slab/misused.h"
#include "../slab/pushes.h"
#include "../slab/tally.h"
#include "../system/fatal.h"
#include "../system/system.h"
#include "owner.h"
#include "quarantine.h"
#include "self.h"

/* A batch of so much is full. */
#define BATCH_BLOCKS_MAX 16
#define BATCH_BYTES_MAX ((size_t)4 << 10)
_Static_assert(FL_BATCHED_BYTES_MAX <= BATCH_BYTES_MAX / 2, "two at least");
_Static_assert(FL_BATCHES *BATCH_BYTES_MAX == (size_t)64 << 10, "as documented");

void fl_batches_init(fl_heap *heap) {
    memset(heap->batches, 0, sizeof heap->batches);
    atomic_store_explicit(&heap->batches_used, 0, memory_order_relaxed);
    atomic_store_explicit(&heap->batches_closed, !fl_system_has_fence(), memory_order_relaxed);
    fl_quarantine_init(heap);
}

static void count_used(fl_heap *heap, int change) {
    uint32_t used = atomic_load_explicit(&heap->batches_used, memory_order_relaxed);
    atomic_store_explicit(&heap->batches_used, used + (uint32_t)change, memory_order_relaxed);
}

static fl_batch take(fl_heap *heap, fl_batch *place) {
    fl_batch batch = *place;
    place->slab = NULL;
    if (batch.slab)
        count_used(heap, -1);
    return batch;
}

/* Acquire: sees what another thread did to the batches while they were closed. */
static bool is_closed(const fl_heap *heap) {
    return atomic_load_explicit(&heap->batches_closed, memory_order_acquire);
}

static bool is_full(const fl_batch *batch, size_t block_bytes) {
    return batch->count == BATCH_BLOCKS_MAX || (batch->count + 1) * block_bytes > BATCH_BYTES_MAX;
}

static fl_batch *place_of(fl_heap *heap, const fl_slab *slab) {
    return &heap->batches[(uintptr_t)slab / sizeof *slab % FL_BATCHES];
}

/* Takes a place over; it holds another slab's batch, or none. */
static fl_batch take_place(fl_heap *heap, fl_batch *place, fl_slab *slab, void *block) {
    fl_batch other = take(heap, place);
    fl_link_set(block, fl_list_end(slab));
    *place = (fl_batch){slab, block, block, 1};
    count_used(heap, 1);
    return other;
}

/* What an owner has freed itself is unknown: it is at work in the slab. */
static bool has_little_live(const fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    uint32_t live = fl_word_owner(word) ? slab->capacity - fl_word_pushed(word) : fl_word_live(word);
    return live <= slab->capacity / 8 + BATCH_BLOCKS_MAX;
}

static fl_batch join(fl_heap *heap, fl_batch *place, void *block, bool last) {
    fl_link_set(block, place->first);
    place->first = block;
    place->count++;
    return last || is_full(place, place->slab->block_bytes) ? take(heap, place) : (fl_batch){0};
}

/* Nobody can ask for what waits here: there is no fence any more, and nobody has come for it since. */
static __attribute__((noinline)) void give_up(fl_heap *heap) {
    if (!fl_system_has_fence())
        fl_batches_empty(heap);
}

fl_batch fl_batches_add(fl_heap *heap, fl_slab *slab, void *block) {
    fl_batch now = {slab, block, block, 1};
    fl_heap_enter(heap, heap);
    bool closed = is_closed(heap);
    if (!closed && !fl_pagearena_is_scarce(&heap->arena->pages)) {
        fl_batch *place = place_of(heap, slab);
        bool last = has_little_live(slab);
        if (place->slab == slab)
            now = join(heap, place, block, last);
        else if (!last)
            now = take_place(heap, place, slab, block);
    }
    fl_heap_leave(heap);
    if (closed)
        give_up(heap);
    return now;
}

static bool is_scarce(const fl_pagearena *arena) {
    return atomic_load_explicit(&arena->scarce, memory_order_seq_cst);
}

/* Tells requests at a limit what may have become idle. (A batch's blocks lie in at most two groups of a
 * region.) */
static void say(fl_pagearena *arena, const void *first, const void *last, fl_push_news news) {
    if (news == FL_NEWS_IDLE) {
        fl_scarce_mark(arena, first);
        fl_scarce_mark(arena, last);
    } else if (news == FL_NEWS_OWNED)
        fl_scarce_in_heaps(arena);
}

/* The rest of fl_hand_over; apart, for the stack: for a slab of which the owner is notified, and for one that
 * nobody owns. */
static __attribute__((noinline)) fl_handed notify_owner(fl_slab *slab, fl_pagearena *arena,
                                                        fl_pushed pushed) {
    fl_owner_notify(slab, fl_word_owner(pushed.before));
    if (is_scarce(arena))
        fl_scarce_in_heaps(arena);
    return FL_HANDED_SLAB;
}

/* The newest block is at the head that it was pushed as. */
static bool has_emptied(fl_pagearena *arena, const void *first, const void *last, fl_pushed pushed) {
    const char *start = (const char *)first - (size_t)(fl_word_head(pushed.after) - 1) * 16;
    return fl_tally_free(arena, start, first, last);
}

static __attribute__((noinline)) fl_handed follow(fl_slab *slab, fl_pagearena *arena, const void *first,
                                                  const void *last, fl_pushed pushed) {
    fl_push_news news = fl_push_news_of(slab, pushed);
    if (news != FL_NEWS_OWNED && is_scarce(arena) && !has_emptied(arena, first, last, pushed))
        news = FL_NEWS_NONE;
    fl_push_duty duty = fl_push_duty_of(pushed);
    if (duty == FL_PUSH_UNLIST)
        fl_slab_unlist_and_settle(slab);
    else if (duty == FL_PUSH_SETTLE)
        fl_slab_settle(slab, NULL);
    if (is_scarce(arena)) /* only now, when all that the push leads to has happened */
        say(arena, first, last, news);
    return duty == FL_PUSH_DONE ? FL_HANDED_QUIETLY : duty == FL_PUSH_NOTE ? FL_HANDED_HALF : FL_HANDED_SLAB;
}

/* Apart even in this file: it ends in a jump, and then has nothing on the stack. */
__attribute__((noinline)) fl_handed fl_hand_over(fl_slab *slab, void *first, void *last, uint32_t count) {
    /* Read before the push: after that the slab is out of reach, unless this push claimed it. */
    fl_pagearena *arena = &slab->arena->pages;
    fl_pushed pushed = fl_slab_push(slab, first, last, count);
    if (__builtin_expect(fl_push_has_no_duty(pushed) && !is_scarce(arena), 1))
        return FL_HANDED_QUIETLY;
    return fl_push_duty_of(pushed) == FL_PUSH_NOTIFY ? notify_owner(slab, arena, pushed)
                                                     : follow(slab, arena, first, last, pushed);
}

/* (Field by field, for the stack.) */
static void hand_over_all(fl_heap *heap) {
    if (FL_HARDENED) { /* what waits in the quarantine has the same bounds and hand-shake */
        fl_slab *slab;
        for (void *block; (block = fl_quarantine_take(heap, &slab)) != NULL;)
            fl_hand_over(slab, block, block, 1);
    }
    for (fl_batch *place = heap->batches; place < heap->batches + FL_BATCHES; place++) {
        fl_slab *slab = place->slab;
        if (!slab)
            continue;
        place->slab = NULL;
        count_used(heap, -1);
        fl_hand_over(slab, place->first, place->last, place->count);
    }
}

void fl_batches_empty(fl_heap *heap) {
    if (atomic_load_explicit(&heap->batches_used, memory_order_relaxed) == 0)
        return;
    fl_lock_take(&heap->arena->heaps_lock); /* nobody else is at them */
    hand_over_all(heap);
    fl_lock_drop(&heap->arena->heaps_lock);
}

static bool is_used(const fl_heap *heap) {
    return atomic_load_explicit(&heap->batches_used, memory_order_relaxed) != 0;
}

static bool has_any(const fallow_arena *arena) {
    for (const fl_heap *heap = arena->heaps; heap; heap = heap->next)
        if (is_used(heap))
            return true;
    return false;
}

/* Returns whether the caller may take a heap's batches. They are closed, and after the fence they are the
 * caller's unless their thread is in the middle; without a fence, if that is the calling thread. Acquire,
 * with the owner's release: sees all that it did. */
static bool are_ours(fl_heap *heap, bool fenced) {
    if (fenced)
        return atomic_load_explicit(&heap->hazard, memory_order_acquire) != heap;
    const struct fl_thread *self = fl_thread_record();
    return self && fl_heap_thread(heap) == self;
}

/* Caller holds heaps_lock. */
static void flush_all(fallow_arena *arena, bool at_limit) {
    bool fences = fl_system_has_fence(), in_hands = false;
    for (fl_heap *heap = arena->heaps; heap; heap = heap->next)
        if (at_limit || !fences || is_used(heap))
            atomic_store_explicit(&heap->batches_closed, true, memory_order_relaxed);
    bool fenced = fences && fl_system_fence_everywhere();
    for (fl_heap *heap = arena->heaps; heap; heap = heap->next) {
        if (!atomic_load_explicit(&heap->batches_closed, memory_order_relaxed))
            continue;
        if (are_ours(heap, fenced))
            hand_over_all(heap);
        else
            in_hands = true;
        /* Release: what was done to them. Without a fence they stay closed: nothing more is gathered. */
        atomic_store_explicit(&heap->batches_closed, !fenced, memory_order_release);
    }
    if (at_limit && in_hands && fences)
        fl_scarce_in_heaps(&arena->pages);
    if (at_limit && in_hands && fenced)
        fl_scarce_in_hands(&arena->pages);
}

void fl_batches_flush(fallow_arena *arena, bool at_limit) {
    fl_lock_take(&arena->heaps_lock);
    if (at_limit || has_any(arena))
        flush_all(arena, at_limit);
    fl_lock_drop(&arena->heaps_lock);
}

bool fl_batches_are_left(fallow_arena *arena) {
    fl_lock_take(&arena->heaps_lock);
    bool left = has_any(arena);
    fl_lock_drop(&arena->heaps_lock);
    return left;
}
