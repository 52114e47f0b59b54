/* SPDX-License-Identifier: MIT */
#include "livestats.h"

#include <errno.h>

#include "../arena/chunks.h"
#include "../heap/batches.h"
#include "../heap/heap.h"
#include "../heap/startup.h"
#include "../slab/traps.h"
#include "../system/arithmetic.h"
#include "../system/sized.h"
#include "arena_api.h"

_Static_assert(FL_CLASS_COUNT <= FALLOW_CLASSES_MAX, "fallow_stats has room for all of them");

#define LOOKS 4 /* at a slab that changes all the time */

typedef struct glance {
    const fallow_arena *arena;
    const char *start;
    size_t pages;
    size_t live; /* blocks; so with the next */
    size_t carved;
    size_t decommitted_bytes;
    unsigned size_class;
    fl_slab_kind kind;
} glance;

/* The owner writes its counts as it likes, one after the other: what was the same twice, and between two
 * looks at the word, counts as read. */
__attribute__((no_sanitize("thread"))) static uint32_t count_live(const fl_slab *slab) {
    const volatile int32_t *countdown = &slab->countdown, *threshold = &slab->threshold;
    uint32_t live = 0;
    for (int i = 0; i < LOOKS; i++) {
        fl_word word = atomic_load_explicit(&slab->word, memory_order_acquire);
        uint32_t used = (uint32_t)(*countdown + *threshold);
        atomic_thread_fence(memory_order_acquire);
        live = fl_word_live_with(word, used);
        if (used == (uint32_t)(*countdown + *threshold) &&
            word == atomic_load_explicit(&slab->word, memory_order_relaxed) && live <= slab->capacity)
            return live;
    }
    return live < slab->capacity ? live : slab->capacity;
}

/* A hint, like all of this: the descriptor may be about to become another's. */
__attribute__((no_sanitize("thread"))) static glance look_at(const fl_slab *slab) {
    glance seen = {.arena = slab->arena, .start = slab->start, .pages = slab->pages, .kind = slab->kind};
    if (seen.kind == FL_KIND_SLAB && slab->size_class < FL_CLASS_COUNT) {
        seen.size_class = slab->size_class;
        seen.live = count_live(slab);
        seen.carved = slab->carved;
        seen.decommitted_bytes = (size_t)__builtin_popcountll(slab->decommitted)
                                 << fl_classes[seen.size_class].unit_shift;
    }
    return seen;
}

static void add(fl_live *sum, fallow_class_stats *classes, const glance *seen) {
    size_t bytes = seen->pages << FL_PAGE_SHIFT;
    if (seen->kind == FL_KIND_LARGE) {
        sum->bytes += bytes, sum->blocks++;
        sum->large_bytes += bytes, sum->large_blocks++;
        return;
    }
    sum->bytes += seen->live * fl_classes[seen->size_class].block_bytes;
    sum->blocks += seen->live;
    sum->free_blocks += fl_above(seen->carved, seen->live);
    sum->slabs++;
    sum->slab_bytes += bytes;
    sum->decommitted_bytes += seen->decommitted_bytes;
    if (classes) {
        fallow_class_stats *of = &classes[seen->size_class];
        of->live_blocks += seen->live;
        of->slabs++;
        of->slab_bytes += bytes;
        of->decommitted_bytes += seen->decommitted_bytes;
    }
}

/* Adds what starts in pages [page, end) of the window. */
static void add_pages(const fallow_arena *arena, size_t page, size_t end, fl_live *sum,
                      fallow_class_stats *classes) {
    while (page < end) {
        fl_entry entry = atomic_load_explicit(&fl_the_window.table[page], memory_order_relaxed);
        const char *at = (const char *)fl_the_window.base + (page << FL_PAGE_SHIFT);
        page++;
        if (!entry)
            continue;
        glance seen = look_at(fl_entry_slab(entry));
        if (seen.arena != arena || seen.start != at || seen.pages == 0)
            continue; /* in the middle of one, or by now another's */
        add(sum, classes, &seen);
        page += seen.pages - 1;
    }
}

/* Adds sampled blocks, which have pages of their own. */
static fl_live with_traps(const fallow_arena *arena, fl_live sum) {
    if (arena != fl_process_arena)
        return sum;
    fl_traps_seen seen = fl_traps_see();
    sum.bytes += seen.live_bytes, sum.large_bytes += seen.live_bytes;
    sum.blocks += seen.live_blocks, sum.large_blocks += seen.live_blocks;
    sum.trap_bytes = seen.live_bytes;
    sum.trap_stuck_bytes = seen.stuck_bytes;
    return sum;
}

fl_live fl_stats_live(const fallow_arena *arena, fallow_class_stats *classes) {
    fl_live sum = {0};
    fl_batches_flush((fallow_arena *)(uintptr_t)arena, false); /* blocks in it are not live to the caller */
    fl_lock *lock = (fl_lock *)&arena->pages.lock;
    for (size_t index = 0;; index++) {
        size_t first, end = 0;
        fl_lock_take(lock);
        const fl_region *region = fl_pagetree_next(&arena->pages.tree, index);
        fl_chunks mapped = region ? region->mapped : 0;
        fl_lock_drop(lock);
        if (!region)
            return with_traps(arena, sum);
        index = fl_region_index(region);
        while (end < FL_REGION_CHUNKS && fl_next_chunks(mapped, end, &first, &end))
            add_pages(arena, index * FL_REGION_PAGES + first * FL_CHUNK_PAGES,
                      index * FL_REGION_PAGES + end * FL_CHUNK_PAGES, &sum, classes);
    }
}

fl_heaps_seen fl_stats_heaps(const fallow_arena *arena) {
    fl_heaps_seen seen = {0};
    fl_lock *lock = (fl_lock *)&arena->heaps_lock;
    fl_lock_take(lock);
    for (const fl_heap *heap = arena->heaps; heap; heap = heap->next) {
        seen.count++;
        seen.without_thread += !heap->thread;
        for (size_t i = 0; i < FL_SPANS_SLOTS; i++)
            seen.span_bytes +=
                (size_t)(uint32_t)atomic_load_explicit(&heap->kept.spans.slots[i], memory_order_relaxed)
                << FL_PAGE_SHIFT;
    }
    fl_lock_drop(lock);
    return seen;
}

static void fill(const fallow_arena *arena, fallow_stats *stats) {
    fallow_arena_figures figures = fl_arena_figures(arena);
    for (unsigned i = 0; i < FL_CLASS_COUNT; i++)
        stats->classes[i].block_bytes = fl_classes[i].block_bytes;
    fl_live live = fl_stats_live(arena, stats->classes);
    size_t granted_bytes = figures.granted_bytes + live.trap_bytes;
    stats->class_count = FL_CLASS_COUNT;
    stats->live_bytes = live.bytes;
    stats->live_blocks = live.blocks;
    stats->large_bytes = live.large_bytes;
    stats->large_blocks = live.large_blocks;
    stats->pool_bytes = fl_above(granted_bytes, live.slab_bytes + live.large_bytes);
    stats->free_bytes = fl_above(live.slab_bytes, live.decommitted_bytes + live.bytes - live.large_bytes);
    stats->idle_bytes = figures.idle_bytes;
    stats->granted_bytes = granted_bytes;
    stats->decommitted_bytes = figures.decommitted_bytes;
    stats->ready_bytes = granted_bytes - figures.decommitted_bytes + figures.idle_bytes;
}

bool fallow_arena_stats(const fallow_arena *arena, fallow_stats *stats, size_t stats_bytes) {
    fallow_stats all = {0};
    if (arena || fl_process_init())
        fill(arena ? fl_arena_at(arena, "statistics of arena") : fl_process_arena, &all);
    if (fl_sized_fill(stats, stats_bytes, &all, sizeof all, sizeof all))
        return true;
    errno = EINVAL;
    return false;
}
