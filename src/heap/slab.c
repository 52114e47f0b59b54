/* SPDX-License-Identifier: MIT */
#include "slab.h"

#include "../arena/grant.h"
#include "arena_heaps.h"
#include "liveblocks.h"
#include "misused.h"
#include "purge.h"

/* Memory that was used before is most likely there: more of it is carved at a time. */
#define WARM_CARVES 4

fl_slab fl_empty_slab = {.free = &fl_empty_slab};

void fl_slab_tag(const fl_slab *slab, uint32_t tag) {
    fl_entries_write(slab->start, slab->pages, fl_entry_make(slab, tag));
}

void fl_slab_untable(const fl_slab *slab) {
    fl_entries_write(slab->start, slab->pages, 0);
}

fl_slab *fl_slab_new(struct fallow_arena *arena, unsigned size_class, uint32_t tag, fl_kept *kept) {
    const fl_class *sizes = &fl_classes[size_class];
    fl_slab *slab = fl_descriptor_take(kept);
    if (!slab)
        return NULL;
    bool zeroed = false;
    uint64_t prepared = 0;
    size_t pages = sizes->slab_pages;
    char *start = fl_spans_take(&kept->spans, &arena->pages, pages);
    if (!start)
        start = fl_limits_are_far(&arena->pages, pages << FL_PAGE_SHIFT)
                    ? fl_grant(&arena->pages, pages, 1, &zeroed)
                    : fl_grant_lazily(&arena->pages, pages, &prepared, &zeroed);
    if (!start) {
        fl_descriptor_give(kept, slab);
        return NULL;
    }
    slab->end = 0;
    slab->free = fl_list_end(slab);
    slab->left = slab->base_used = 0;
    slab->carved = 0;
    slab->zeroed = zeroed;
    slab->purged_live = FL_NOT_PURGED;
    slab->capacity = sizes->capacity;
    slab->next = slab->previous = NULL;
    slab->partial = slab->linked = slab->seen = 0;
    slab->start = start;
    slab->arena = arena;
    slab->pages = pages;
    slab->block_bytes = sizes->block_bytes;
    slab->inside_bits = sizes->inside_bits;
    slab->size_class = (uint8_t)size_class;
    slab->kind = FL_KIND_SLAB;
    slab->away = fl_units_of_pages(slab, prepared);
    atomic_store_explicit(&slab->word, fl_word_make(FL_CURRENT, tag, 0, 0), memory_order_relaxed);
    fl_slab_tag(slab, tag);
    return slab;
}

/* What was never handed out reads as zero, if the memory was new; else somebody has written there. */
static void check_new(const fl_slab *slab, char *block) {
    if (__builtin_expect(!fl_mark_give(block), 0))
        fl_misuse(
            slab, "allocation of", block,
            "written to before it was handed out, most likely from the block before it (it is not zero)");
}

/* Blocks [first, end) in front of the free list. */
static void link_blocks(fl_slab *slab, uint32_t first, uint32_t end) {
    char *block = slab->start + (size_t)first * slab->block_bytes;
    void *head = block;
    for (uint32_t i = first; i < end; i++, block += slab->block_bytes) {
        if (slab->zeroed)
            check_new(slab, block);
        fl_link_set(block, i + 1 < end ? block + slab->block_bytes : slab->free);
    }
    slab->free = head;
}

/* Where the OS page begins in which the block at an offset starts. */
static size_t page_of_offset(size_t offset) {
    return offset & ~(fl_the_window.os_page_bytes - 1);
}

/* How many blocks are carved together: of memory that is not there yet, or not Ready, no more than start in an OS page. */
static uint32_t carve_step(const fl_slab *slab) {
    uint32_t left = slab->capacity - slab->carved;
    uint32_t step = fl_classes[slab->size_class].carve_blocks;
    if (slab->zeroed || slab->away) {
        size_t offset = (size_t)slab->carved * slab->block_bytes;
        size_t page_end = page_of_offset(offset) + fl_the_window.os_page_bytes;
        uint32_t in_page = (uint32_t)((page_end - offset + slab->block_bytes - 1) / slab->block_bytes);
        step = in_page < step ? in_page : step;
    } else
        step *= WARM_CARVES;
    return step < left ? step : left;
}

bool fl_slab_carve(fl_slab *slab, bool heed_soft, fl_shortage *shortage) {
    if (slab->away && fl_slab_carve_away(slab, heed_soft, shortage))
        return true;
    uint32_t count = carve_step(slab);
    if (count == 0)
        return false;
    if (slab->away && !fl_slab_make_ready(slab, count, heed_soft, shortage)) {
        /* The last of them may reach into one more page than a limit has left. */
        count = 1;
        if (!fl_slab_make_ready(slab, count, heed_soft, shortage))
            return false;
        *shortage = (fl_shortage){FL_REFUSED_NEVER, 0, NULL};
    }
    link_blocks(slab, slab->carved, slab->carved + count);
    slab->carved += count;
    return true;
}

void *fl_slab_pop_fresh(fl_slab *slab, bool heed_soft, fl_shortage *shortage) {
    size_t offset = (size_t)slab->carved * slab->block_bytes;
    if (fl_slab_has_free(slab) || !slab->zeroed || slab->carved == slab->capacity ||
        (offset && page_of_offset(offset) == page_of_offset(offset - slab->block_bytes)))
        return NULL;
    if (slab->away && (fl_slab_has_holes(slab) || !fl_slab_make_ready(slab, 1, heed_soft, shortage)))
        return NULL;
    slab->left++;
    slab->carved++;
    return slab->start + offset;
}

void fl_slab_splice(fl_slab *slab, uint32_t head) {
    if (head == 0)
        return;
    void *first = slab->start + (size_t)(head - 1) * 16;
    if (fl_slab_has_free(slab)) {
        void *last = first;
        uint32_t count = 0;
        for (void *next; (next = fl_link_get(last)) != fl_list_end(slab); last = next) {
            fl_check_free(slab, next, "look at");
            if (++count > slab->capacity)
                fl_misuse(slab, "free of", first,
                          "freed twice (the list of what other threads freed has no end)");
        }
        fl_link_set(last, slab->free);
    }
    slab->free = first;
}

bool fl_slab_collect(fl_slab *slab) {
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    do {
        if (fl_word_head(word) == 0)
            return false;
        /* Acquire, with the release of every push: what the freeing threads did to the blocks, and the
         * links that they wrote, come before what is done to them from here on. */
    } while (!atomic_compare_exchange_weak_explicit(
        &slab->word, &word, fl_word_make(fl_word_state(word), fl_word_owner(word), 0, 0),
        memory_order_acquire, memory_order_relaxed));
    slab->left -= (int32_t)fl_word_pushed(word);
    fl_slab_splice(slab, fl_word_head(word));
    return true;
}

fl_push_duty fl_slab_push(fl_slab *slab, void *block, uint32_t *owner) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    uint32_t head = (uint32_t)(((char *)block - slab->start) / 16 + 1);
    /* At a limit each block counts: a slab of which nothing was free is listed with the first. */
    bool scarce = atomic_load_explicit(&slab->arena->pages.scarce, memory_order_relaxed);
    uint32_t listed_blocks = scarce ? 1 : sizes->fair_blocks;
    fl_word word = atomic_load_explicit(&slab->word, memory_order_relaxed);
    fl_word pushed;
    do {
        uint32_t before = fl_word_head(word);
        if (before == head)
            fl_misuse(slab, "free of", block, "freed twice (it is the newest block in the list of frees)");
        fl_link_set(block, before ? slab->start + (size_t)(before - 1) * 16 : fl_list_end(slab));
        pushed = fl_word_push(word, head, sizes->fair_blocks, listed_blocks, sizes->capacity);
        /* Release: the link, and all that this thread did to the block, before the owner takes the list.
         * Acquire: a push that claims goes on to read what the last owner left. */
        /* (Sequentially consistent: see scarce.h.) */
    } while (!atomic_compare_exchange_weak_explicit(&slab->word, &word, pushed, memory_order_seq_cst,
                                                    memory_order_relaxed));
    if (fl_word_state(word) == fl_word_state(pushed)) {
        /* Nobody's, and half of what lived in it has gone since the last time: the scavenger may want to know. */
        uint32_t live = fl_word_live(pushed);
        return fl_word_state(word) == FL_LISTED && (live & (live - 1)) == 0 ? FL_PUSH_NOTE : FL_PUSH_DONE;
    }
    *owner = fl_word_owner(word);
    switch (fl_word_state(word)) {
    case FL_PARKED:
        return FL_PUSH_TELL;
    case FL_LISTED:
        return FL_PUSH_UNLIST;
    default:
        return FL_PUSH_SETTLE;
    }
}
