/* SPDX-License-Identifier: MIT */
#include "carve.h"

#include "../system/probes.h"
#include "arenas.h"
#include "liveblocks.h"
#include "misused.h"
#include "units.h"

/* Memory that was used before is most likely there: it is carved in larger steps. */
#define WARM_CARVES 4

/* What was never handed out reads as zero if the memory was new; otherwise somebody has written there. */
static void check_new(const fl_slab *slab, char *block) {
    if (__builtin_expect(!fl_mark_give(block), 0))
        fl_misuse(
            slab, "allocation of", block,
            "written to before it was handed out, most likely from the block before it (it is not zero)");
}

/* Larger blocks may be stacks, or buffers of which only a part is ever touched. */
#define FILLED_BLOCK_BYTES_MAX ((size_t)32 << 10)

static fl_how how_filled(const fl_class *sizes) {
    return sizes->block_bytes <= FILLED_BLOCK_BYTES_MAX ? FL_FILLED : FL_FILLED_PERHAPS;
}

fl_slab *fl_slab_new(struct fallow_arena *arena, unsigned size_class, uint32_t tag, fl_kept *kept) {
    const fl_class *sizes = &fl_classes[size_class];
    fl_slab *slab = fl_descriptor_take(kept);
    if (!slab)
        return NULL;
    bool zeroed;
    uint64_t prepared;
    size_t pages = sizes->slab_pages;
    char *start =
        fl_spans_take_or_grant(&kept->spans, &arena->pages, pages, how_filled(sizes), &prepared, &zeroed);
    if (!start) {
        fl_descriptor_give(kept, slab);
        return NULL;
    }
    slab->end = 0;
    slab->free = fl_list_end(slab);
    slab->countdown = slab->threshold = 0;
    slab->carved = 0;
    slab->zeroed = zeroed;
    slab->purged_live = FL_NOT_PURGED;
    slab->capacity = sizes->capacity;
    slab->next = slab->previous = NULL;
    slab->partial = slab->linked = slab->filled = slab->seen = 0;
    atomic_store_explicit(&slab->watched, false, memory_order_relaxed);
    atomic_store_explicit(&slab->bare, false, memory_order_relaxed);
    slab->tallied = false;
    atomic_store_explicit(&slab->idle_below, FL_NOT_LOOKED_AT, memory_order_relaxed);
    slab->start = start;
    slab->arena = arena;
    slab->pages = pages;
    slab->block_bytes = sizes->block_bytes;
    slab->inside_bits = sizes->inside_bits;
    slab->size_class = (uint8_t)size_class;
    slab->kind = FL_KIND_SLAB;
    slab->decommitted = fl_units_of_pages(slab, prepared);
    if (FL_HARDENED)
        fl_slab_guard(slab);
    atomic_store_explicit(&slab->word, fl_word_make(FL_CURRENT, tag, 0, 0), memory_order_relaxed);
    fl_slab_tag(slab, tag);
    FL_PROBE3(slab_made, start, pages << FL_PAGE_SHIFT, sizes->block_bytes);
    return slab;
}

#if FL_HARDENED
static uint32_t common_divisor(uint32_t a, uint32_t b) {
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Puts blocks [first, end) in front of the free list, in an order of chance: from some start on, in steps
 * that reach all of them. Where the slab begins, its first block comes last: nothing of the slab lies before
 * it to show what was written there. */
static void link_blocks(fl_slab *slab, uint32_t first, uint32_t end) {
    uint32_t count = end - first;
    uint64_t chance = fl_hardening_random();
    uint32_t step = (uint32_t)(chance % count), at = first ? (uint32_t)((chance >> 32) % count) : 0;
    while (common_divisor(count, step) != 1)
        step = step + 1 < count ? step + 1 : 1;
    for (uint32_t i = 0; i < count; i++, at = (at + step) % count) {
        char *block = slab->start + (size_t)(first + at) * slab->block_bytes;
        if (slab->zeroed)
            check_new(slab, block);
        else
            fl_end_write(block + slab->block_bytes, fl_end_make(block, FL_END_UNKNOWN, 0, 0));
        fl_link_set(block, slab->free);
        slab->free = block;
    }
}
#else
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
#endif

/* Returns where the OS page begins in which the block at an offset starts. */
static size_t page_of_offset(size_t offset) {
    return offset & ~(fl_the_window.os_page_bytes - 1);
}

/* Returns how many blocks to carve together: of memory that is not there yet, or not Ready, no more than
 * start in an OS page. */
static uint32_t carve_step(const fl_slab *slab) {
    uint32_t left = slab->capacity - slab->carved;
    uint32_t step = fl_classes[slab->size_class].carve_blocks;
    if (slab->zeroed || slab->decommitted) {
        size_t offset = (size_t)slab->carved * slab->block_bytes;
        size_t page_end = page_of_offset(offset) + fl_the_window.os_page_bytes;
        uint32_t in_page = (uint32_t)((page_end - offset + slab->block_bytes - 1) / slab->block_bytes);
        step = in_page < step ? in_page : step;
    } else
        step *= WARM_CARVES;
    return step < left ? step : left;
}

bool fl_slab_carve(fl_slab *slab, bool heed_soft, fl_shortage *shortage) {
    if (slab->decommitted && fl_slab_carve_decommitted(slab, heed_soft, shortage))
        return true;
    uint32_t count = carve_step(slab);
    if (count == 0)
        return false;
    if (slab->decommitted && !fl_slab_make_ready(slab, count, heed_soft, shortage)) {
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
    if (FL_HARDENED && slab->block_bytes < fl_the_window.os_page_bytes)
        return NULL; /* the first of a page is no more likely than others to be handed out first */
    if (fl_slab_has_free(slab) || !slab->zeroed || slab->carved == slab->capacity ||
        (offset && page_of_offset(offset) == page_of_offset(offset - slab->block_bytes)))
        return NULL;
    if (slab->decommitted && (fl_slab_has_holes(slab) || !fl_slab_make_ready(slab, 1, heed_soft, shortage)))
        return NULL;
    slab->countdown++;
    slab->carved++;
    return slab->start + offset;
}
