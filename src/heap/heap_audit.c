/* SPDX-License-Identifier: MIT */
/*
 * heap_audit.c: which slab is in which list, and what heaps and arenas count. Lists are compared with the
 * table by number: each member is in the table with the tag of the list's owner, so if the table leads to as
 * many, they are the same ones.
 */
#include "heap_audit.h"

typedef int fl_heap_audit_of_no_use_in_this_build; /* a file may not be empty */

#if FL_CHECKS >= 2

#include "../arena/page_audit.h"
#include "../slab/slab_audit.h"
#include "idle.h"
#include "owner.h"
#include "thread.h"

static fl_word word_of(const fl_slab *slab) {
    return atomic_load_explicit(&slab->word, memory_order_acquire);
}

static fl_slab_state state_of(const fl_slab *slab) {
    return fl_word_state(word_of(slab));
}

static size_t bytes_of(const fl_slab *slab) {
    return slab->pages << FL_PAGE_SHIFT;
}

/* Checks a descriptor before anything in it is believed. */
static void audit_descriptor(const fl_slab *slab, const fallow_arena *arena) {
    size_t offset = (size_t)((const char *)slab - fl_the_window.descriptors);
    fl_audit_that((const char *)slab > fl_the_window.descriptors && offset % sizeof *slab == 0, slab,
                  "in a list of slabs, but no descriptor");
    fl_audit_that(slab->kind == FL_KIND_SLAB && slab->size_class < FL_CLASS_COUNT, slab,
                  "in a list of slabs, but the descriptor is of no slab");
    fl_audit_that(slab->arena == arena, slab->start, "the slab is in a list of another arena than its own");
}

/* What lists add up to. */
typedef struct slab_sum {
    size_t slabs;
    size_t bytes;
} slab_sum;

static void add(slab_sum *sum, const fl_slab *slab) {
    sum->slabs++;
    sum->bytes += bytes_of(slab);
}

/* Slabs of no heap. */

static void audit_listed_slab(const fl_slab *slab, unsigned size_class, bool purged) {
    fl_word word = word_of(slab);
    fl_audit_that(slab->size_class == size_class, slab->start, "the slab is in the list of another class");
    fl_audit_that(purged == fl_is_purged(slab->purged_live), slab->start,
                  "the slab is among the purged ones and was not purged, or the other way");
    fl_audit_that(fl_word_owner(word) == 0, slab->start, "the slab is listed as abandoned, but has an owner");
    /* The push that frees the last block, and a search for slabs to purge, claim the slab and then come for
     * the lock. */
    fl_audit_that(fl_word_state(word) == FL_LISTED || fl_word_state(word) == FL_CLAIMED, slab->start,
                  "the slab is in its arena's list, but neither LISTED nor claimed");
    fl_audit_that(!purged || fl_word_live(word) <= slab->purged_live, slab->start,
                  "more blocks live in the slab than when it was purged");
    fl_audit_entries(slab, 0);
}

static void audit_list(const fallow_arena *arena, unsigned size_class, bool purged, slab_sum *sum) {
    const fl_slab_list *list = purged ? &arena->purged[size_class] : &arena->listed[size_class];
    const fl_slab *previous = NULL;
    for (const fl_slab *slab = list->first; slab; previous = slab, slab = slab->next) {
        audit_descriptor(slab, arena);
        fl_audit_that(slab->previous == previous, slab->start,
                      "the slab's link back in its arena's list leads elsewhere");
        audit_listed_slab(slab, size_class, purged);
        add(sum, slab);
    }
    fl_audit_that(list->last == previous, list, "the list's last slab is not the one that its links lead to");
}

/* Returns those that were never purged. */
static slab_sum audit_lists(const fallow_arena *arena) {
    slab_sum listed = {0, 0}, purged = {0, 0};
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        audit_list(arena, size_class, false, &listed);
        audit_list(arena, size_class, true, &purged);
    }
    fl_audit_equal(arena, "listed_count", atomic_load_explicit(&arena->listed_count, memory_order_relaxed),
                   "the lists of abandoned slabs", listed.slabs + purged.slabs);
    fl_audit_equal(arena, "purged_bytes",
                   atomic_load_explicit(&arena->pages.purged_bytes, memory_order_relaxed),
                   "the lists of purged slabs", purged.bytes);
    return listed;
}

void fl_audit_lists(const fallow_arena *arena) {
    audit_lists(arena);
}

/* Slabs of a heap. */

static void audit_parked_slab(const fl_heap *heap, const fl_slab *slab, bool partial) {
    fl_word word = word_of(slab);
    fl_audit_that(slab->linked == 1, slab->start, "the slab is in a heap's list, but not marked as linked");
    fl_audit_that(slab->partial == partial, slab->start,
                  "the slab is among the full ones and marked as partial, or the other way");
    fl_audit_that(fl_word_owner(word) == heap->tag, slab->start,
                  "the slab is in the list of a heap that does not own it");
    /* A claimer holds the lock until the slab is out of its list. */
    fl_audit_that(fl_word_state(word) == FL_PARKED || fl_word_state(word) == FL_NOTIFIED, slab->start,
                  "the slab is in a heap's list, but neither PARKED nor NOTIFIED");
    fl_audit_entries(slab, heap->tag);
}

static void audit_parked(const fl_heap *heap, const fl_parked *list, bool partial, unsigned size_class,
                         slab_sum *sum) {
    const fl_slab *previous = NULL;
    for (const fl_slab *slab = list->first; slab; previous = slab, slab = slab->next) {
        audit_descriptor(slab, heap->arena);
        fl_audit_that(slab->previous == previous, slab->start,
                      "the slab's link back in its heap's list leads elsewhere");
        fl_audit_that(!partial || slab->size_class == size_class, slab->start,
                      "the slab is in the list of another class");
        audit_parked_slab(heap, slab, partial);
        add(sum, slab);
    }
    fl_audit_that(list->last == previous, list, "the list's last slab is not the one that its links lead to");
}

/* Checks those that the owner is notified of. Notifying only adds in front, and the thread that takes them
 * out holds the lock. */
static slab_sum audit_notified(const fl_heap *heap) {
    slab_sum notified = {0, 0};
    const fl_slab *slab = atomic_load_explicit(&heap->notified, memory_order_acquire);
    size_t owned = atomic_load_explicit(&heap->owned, memory_order_relaxed);
    if (slab == FL_NOTIFIED_CLOSED)
        return notified;
    for (; slab; slab = slab->notified_next) {
        audit_descriptor(slab, heap->arena);
        fl_audit_that(state_of(slab) == FL_NOTIFIED && fl_word_owner(word_of(slab)) == heap->tag, slab->start,
                      "the slab is in a heap's stack of notified ones, but not NOTIFIED, or another heap's");
        fl_audit_that(slab->linked, slab->start, "the slab is notified of, but in no list of its heap");
        add(&notified, slab);
        fl_audit_that(notified.slabs < owned, heap, "more slabs are notified of than the heap owns");
    }
    return notified;
}

/* Returns all parked ones. */
static slab_sum audit_heap_lists(const fl_heap *heap) {
    slab_sum partial = {0, 0}, full = {0, 0};
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++)
        audit_parked(heap, &heap->partial[size_class], true, size_class, &partial);
    audit_parked(heap, &heap->full, false, 0, &full);
    fl_audit_equal(heap, "partial_bytes", heap->partial_bytes, "the heap's lists of partial slabs",
                   partial.bytes);
    return (slab_sum){partial.slabs + full.slabs, partial.bytes + full.bytes};
}

size_t fl_audit_parked(const fl_heap *heap) {
    if (heap->slabs_lost)
        return 0;
    audit_notified(heap);
    return audit_heap_lists(heap).slabs;
}

static size_t audit_current(const fl_heap *heap) {
    size_t count = 0;
    for (unsigned size_class = 0; size_class < FL_CLASS_COUNT; size_class++) {
        const fl_slab *slab = fl_heap_current(heap, size_class);
        if (slab == &fl_empty_slab)
            continue;
        audit_descriptor(slab, heap->arena);
        fl_audit_that(slab->size_class == size_class, slab->start, "the slab is current for another class");
        fl_audit_that(state_of(slab) == FL_CURRENT && fl_word_owner(word_of(slab)) == heap->tag, slab->start,
                      "the slab is current in a heap, but not CURRENT, or another heap's");
        fl_audit_entries(slab, heap->tag);
        count++;
    }
    for (size_t i = 0; i <= FL_DIRECT_BYTES_MAX / 16; i++) /* Another thread may just switch it. */
        fl_audit_that(heap->direct[i] == &heap->counted ||
                          heap->direct[i] == fl_heap_current(heap, fl_class_table[i]),
                      &heap->direct[i], "the slab for a size is not the current one of its class");
    return count;
}

void fl_audit_heap(const fl_heap *heap) {
    if (heap->slabs_lost)
        return;
    fl_audit_that(heap->entry_tag == fl_entry_tag(heap->tag), heap, "the heap's two tags are not the same");
    fl_audit_that(!fl_slab_has_free(&fl_empty_slab), &fl_empty_slab, "the empty slab has a free block");
    fl_audit_parked(heap);
    audit_current(heap);
}

/* All of an arena. */

/* What its heaps and lists say, and what the table leads to. */
typedef struct heap_books {
    size_t heaps;
    size_t idle;  /* of these, those of no thread */
    size_t owned; /* as heaps count it; one of it is the heap itself */
    size_t current;
    size_t parked; /* NOTIFIED or not */
    size_t notified;
    size_t claimed;          /* of these */
    size_t claimed_of_heaps; /* still in the arena's list */
    size_t listed;
    size_t reclaimable_bytes;
    size_t pages; /* in spans and pools */

    size_t in_state[FL_WORD_STATE_MASK + 1];
    size_t found_pages; /* in slabs and large blocks */
    size_t decommitted_bytes;
    size_t filled_bytes;
} heap_books;

static size_t pages_in_spans(const fl_spans *spans) {
    size_t pages = 0;
    for (size_t i = 0; i < FL_SPANS_SLOTS; i++)
        pages += (uint32_t)atomic_load_explicit(&spans->slots[i], memory_order_acquire);
    return pages;
}

static void audit_descriptors_kept(const fl_kept *kept) {
    const fl_slab *first = atomic_load_explicit(&kept->descriptors, memory_order_acquire);
    size_t count = 0;
    for (const fl_slab *slab = first; slab && count <= FL_DESCRIPTORS_KEPT; slab = slab->next)
        count++;
    fl_audit_that(count <= FL_DESCRIPTORS_KEPT, kept, "more descriptors are kept than a heap may keep");
    fl_audit_equal(kept, "what the first descriptor of a heap counts", first ? first->chained : 0,
                   "those that are linked", count);
}

static void audit_heap_of(const fallow_arena *arena, const fl_heap *heap, heap_books *books) {
    fl_audit_that(heap->arena == arena, heap, "the heap is in the list of another arena than its own");
    fl_audit_heap(heap);
    fl_audit_spans(&heap->kept.spans, &arena->pages);
    audit_descriptors_kept(&heap->kept);
    size_t kept = pages_in_spans(&heap->kept.spans);
    slab_sum notified = audit_notified(heap);
    books->heaps++;
    books->idle += !fl_heap_thread(heap);
    books->owned += atomic_load_explicit(&heap->owned, memory_order_relaxed);
    books->current += audit_current(heap);
    books->parked += audit_heap_lists(heap).slabs;
    books->notified += notified.slabs;
    books->reclaimable_bytes += heap->partial_bytes + notified.bytes + (kept << FL_PAGE_SHIFT);
    books->pages += kept;
}

/* There are as many in slots as without a thread, and each of the former is without one: they are the same
 * ones. */
static void audit_idle(const fallow_arena *arena, heap_books *books) {
    size_t idle = 0;
    for (size_t i = 0; i < FL_IDLE_HEAPS_MAX; i++) {
        const fl_heap *heap = fl_idle_heap(atomic_load_explicit(&arena->idle[i], memory_order_acquire));
        if (!heap)
            continue;
        fl_audit_that(heap->arena == arena, heap, "the heap is idle in another arena than its own");
        fl_audit_that(!fl_heap_thread(heap) && heap->pinned == 0, heap,
                      "the heap is idle and a thread's as well");
        fl_audit_that(!atomic_load_explicit(&heap->hazard, memory_order_relaxed), heap,
                      "the heap is idle in the middle of a free");
        idle++;
    }
    fl_audit_equal(arena, "the number of heaps in the slots for idle ones", idle,
                   "those that are no thread's", books->idle);
    books->reclaimable_bytes += idle * FL_IDLE_HEAP_BYTES;
}

static void audit_heaps(const fallow_arena *arena, heap_books *books) {
    const fl_heap *previous = NULL;
    for (const fl_heap *heap = arena->heaps; heap; previous = heap, heap = heap->next) {
        fl_audit_that(heap->previous == previous, heap,
                      "the heap's link back in its arena's list leads elsewhere");
        audit_heap_of(arena, heap, books);
    }
    fl_audit_equal(arena, "heap_count", atomic_load_explicit(&arena->pages.heap_count, memory_order_relaxed),
                   "the list of heaps", books->heaps);
    audit_idle(arena, books);
}

static bool has_heap(const fallow_arena *arena, uint32_t tag) {
    const fl_heap *heap = arena->heaps;
    while (heap && heap->tag != tag)
        heap = heap->next;
    return heap != NULL;
}

/* Checks slabs that the scavenger took from owners in the middle of a free. */
static void audit_unsettled(const fallow_arena *arena, heap_books *books) {
    for (const fl_slab *slab = arena->unsettled; slab; slab = slab->next) {
        audit_descriptor(slab, arena);
        fl_audit_that(state_of(slab) == FL_CLAIMED && fl_word_owner(word_of(slab)), slab->start,
                      "the slab waits to be settled, but is not CLAIMED, or has lost its owner");
        fl_audit_entries(slab, 0);
        books->claimed++;
        books->claimed_of_heaps += has_heap(arena, fl_word_owner(word_of(slab)));
    }
}

static void audit_found_slab(const fallow_arena *arena, const fl_slab *slab, uint32_t tag,
                             heap_books *books) {
    fl_audit_slab(slab);
    fl_slab_state state = state_of(slab);
    /* A claimer has taken the tag out of the table; the owner stands in the word until the claim is
     * published. */
    fl_audit_that(tag == (state == FL_CLAIMED ? 0 : fl_word_owner(word_of(slab))), slab->start,
                  "the slab's owner is one in the table, another in its word");
    fl_audit_entries(slab, tag);
    fl_audit_granted(&arena->pages, slab->start, slab->pages,
                     "the page is a slab's, but not granted to its arena");
    books->in_state[state]++;
    books->filled_bytes += slab->filled ? slab->pages << FL_PAGE_SHIFT : 0;
    books->decommitted_bytes += (size_t)__builtin_popcountll(slab->decommitted)
                                << fl_classes[slab->size_class].unit_shift;
}

/* Checks the descriptor that an entry leads to, at the first of its pages. */
static void audit_found(const fallow_arena *arena, const fl_slab *slab, fl_entry entry, heap_books *books) {
    uint32_t tag = (uint32_t)(entry >> FL_ENTRY_HIGH_SHIFT) << FL_ENTRY_LOW_BITS |
                   (uint32_t)(entry & ((1u << FL_ENTRY_LOW_BITS) - 1));
    fl_audit_that(slab->arena == arena, slab->start,
                  "the page is in a region of one arena, its slab in another arena");
    books->found_pages += slab->pages;
    if (slab->kind == FL_KIND_SLAB) {
        audit_found_slab(arena, slab, tag, books);
        return;
    }
    fl_audit_that(slab->kind == FL_KIND_LARGE && tag == 0, slab->start,
                  "the page's descriptor is neither of a slab nor of a large block of nobody's");
    fl_audit_granted(&arena->pages, slab->start, slab->pages,
                     "the page is a large block's, but not granted to its arena");
}

static void audit_table(const fallow_arena *arena, const fl_region *region, heap_books *books) {
    for (size_t page = 0; page < FL_REGION_PAGES; page++) {
        const char *at = fl_region_start(region) + (page << FL_PAGE_SHIFT);
        fl_entry entry = fl_entry_of(at);
        const fl_slab *slab = fl_entry_slab(entry);
        if (entry == 0)
            continue;
        fl_audit_that((const char *)slab > fl_the_window.descriptors && (uintptr_t)slab < fl_the_window.base,
                      at, "the page's entry in the table leads to no descriptor");
        fl_audit_that((size_t)(at - slab->start) < bytes_of(slab), at,
                      "the page's entry in the table leads to a descriptor of other pages");
        if (slab->start == at)
            audit_found(arena, slab, entry, books);
    }
}

static void audit_places(const fallow_arena *arena, const heap_books *books) {
    const size_t *in = books->in_state;
    fl_audit_equal(arena, "the number of CURRENT slabs in the table", in[FL_CURRENT],
                   "the heaps' current ones", books->current);
    fl_audit_equal(arena, "the number of PARKED and NOTIFIED slabs in the table",
                   in[FL_PARKED] + in[FL_NOTIFIED], "the heaps' lists", books->parked);
    fl_audit_equal(arena, "the number of NOTIFIED slabs in the table", in[FL_NOTIFIED],
                   "the heaps' stacks of notified ones", books->notified);
    fl_audit_equal(arena, "the number of LISTED slabs in the table", in[FL_LISTED], "the arena's lists",
                   books->listed);
    fl_audit_equal(arena, "the number of CLAIMED slabs in the table", in[FL_CLAIMED],
                   "those that wait to be settled", books->claimed);
    fl_audit_equal(arena, "what heaps own by their own count", books->owned,
                   "the heaps and the slabs with their tags",
                   books->heaps + in[FL_CURRENT] + in[FL_PARKED] + in[FL_NOTIFIED] + books->claimed_of_heaps);
}

static void audit_sums(const fallow_arena *arena, const heap_books *books) {
    const fl_pagearena *pages = &arena->pages;
    fl_audit_equal(arena, "leaving_pages of an arena that nobody uses", pages->leaving_pages,
                   "what the scavenger has in its hands", 0);
    fl_audit_equal(arena, "used_pages", pages->used_pages, "slabs, large blocks, spans and pools",
                   books->found_pages + books->pages);
    fl_audit_equal(arena, "filled_bytes", atomic_load_explicit(&pages->filled_bytes, memory_order_relaxed),
                   "what slabs say", books->filled_bytes);
    fl_audit_equal(arena, "decommitted_bytes",
                   atomic_load_explicit(&pages->decommitted_bytes, memory_order_relaxed),
                   "the units that are decommitted", books->decommitted_bytes);
    fl_audit_equal(
        arena, "reclaimable_bytes", atomic_load_explicit(&pages->reclaimable_bytes, memory_order_relaxed),
        "partial, notified and listed slabs, the spans and the idle heaps", books->reclaimable_bytes);
}

void fl_audit_arena_quiet(const fallow_arena *arena) {
    heap_books books = {0};
    if (arena->forked)
        return;
    fl_audit_pages(&arena->pages);
    books.reclaimable_bytes = audit_lists(arena).bytes;
    books.listed = atomic_load_explicit(&arena->listed_count, memory_order_relaxed);
    books.pages = atomic_load_explicit(&arena->pool_pages, memory_order_relaxed);
    audit_heaps(arena, &books);
    audit_unsettled(arena, &books);
    for (const fl_region *region = arena->pages.regions; region; region = region->next)
        audit_table(arena, region, &books);
    audit_places(arena, &books);
    audit_sums(arena, &books);
}

void fl_audit_arena_unused(const fallow_arena *arena) {
    fl_threads_lock();
    fl_upkeep *upkeep = (fl_upkeep *)&arena->pages.upkeep;
    fl_upkeep_pause(upkeep);
    fl_audit_arena_quiet(arena);
    fl_upkeep_go_on(upkeep);
    fl_threads_unlock();
}

#endif
