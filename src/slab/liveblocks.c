/* SPDX-License-Identifier: MIT */
#include "liveblocks.h"

#include "../system/poison.h"
#include "misused.h"

uint64_t fl_units_of(const fl_slab *slab, uint32_t block) {
    size_t start = (size_t)block * slab->block_bytes;
    return fl_unit_bits(start >> fl_unit_shift(slab), (start + slab->block_bytes - 1) >> fl_unit_shift(slab));
}

static uint32_t block_at(const fl_slab *slab, size_t offset) {
    return (uint32_t)((offset * fl_classes[slab->size_class].inverse) >> FL_CLASS_INVERSE_SHIFT);
}

void fl_unit_blocks(const fl_slab *slab, size_t unit, uint32_t limit, uint32_t *first, uint32_t *end) {
    *first = block_at(slab, unit << fl_unit_shift(slab));
    *end = block_at(slab, ((unit + 1) << fl_unit_shift(slab)) - 1) + 1;
    *first = *first < limit ? *first : limit;
    *end = *end < limit ? *end : limit;
}

/* Returns how many blocks touch a unit and nothing that is decommitted. */
static uint32_t whole_blocks_of(const fl_slab *slab, size_t unit) {
    uint32_t first, end;
    fl_unit_blocks(slab, unit, slab->carved, &first, &end);
    while (first < end && (fl_units_of(slab, first) & slab->decommitted))
        first++;
    while (first < end && (fl_units_of(slab, end - 1) & slab->decommitted))
        end--;
    return end - first;
}

uint32_t fl_slab_whole_blocks(const fl_slab *slab) {
    uint32_t count = slab->carved;
    uint32_t behind = 0; /* blocks below this have been looked at */
    for (uint64_t decommitted = slab->decommitted; decommitted; decommitted &= decommitted - 1) {
        uint32_t first, end;
        fl_unit_blocks(slab, fl_unit_first(decommitted), slab->carved, &first, &end);
        first = first > behind ? first : behind;
        count -= end > first ? end - first : 0;
        behind = end > behind ? end : behind;
    }
    return count;
}

uint32_t fl_slab_least_touching(const fl_slab *slab) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    size_t units = (slab->pages << FL_PAGE_SHIFT) >> sizes->unit_shift;
    uint64_t ready = ~slab->decommitted & fl_unit_bits(0, units - 1);
    /* Units whose blocks do not all count: those beside what is decommitted, and from the last carved one
     * on. */
    uint64_t fewer = ready & (slab->decommitted << 1 | slab->decommitted >> 1);
    size_t carved_unit = ((size_t)slab->carved * slab->block_bytes) >> sizes->unit_shift;
    if (carved_unit < units)
        fewer |= ready & fl_unit_bits(carved_unit, units - 1);
    uint32_t least = ready == fewer ? UINT32_MAX : sizes->unit_blocks;
    for (; fewer && least > 0; fewer &= fewer - 1) {
        uint32_t touching = whole_blocks_of(slab, fl_unit_first(fewer));
        least = touching < least ? touching : least;
    }
    return least;
}

/* The free list follows no order. A long one is walked faster with all of the slab in the cache, and reading
 * ahead in order brings it there (a prefetch instruction measured no better than nothing). It does not touch
 * what is decommitted, and throws away what it reads of live blocks, while their owners may write. */
__attribute__((no_sanitize("thread", "address"))) static void read_through(const fl_slab *slab) {
    if (fl_memcheck_is_there()) /* memcheck is told of what nobody may read */
        return;
    const volatile char *block = slab->start;
    size_t step = slab->block_bytes > 64 ? slab->block_bytes : 64;
    size_t bytes = (size_t)slab->carved * slab->block_bytes;
    for (size_t at = 0; at < bytes; at += step)
        if (!(slab->decommitted >> (at >> fl_unit_shift(slab)) & 1))
            (void)block[at];
}

#define LONG_PART 8 /* of the blocks of a slab */

static void note_free(const fl_slab *slab, const char *block, fl_blocks *blocks) {
    uint64_t inverse = fl_classes[slab->size_class].inverse;
    uint32_t count = 0;
    for (; block != fl_list_end(slab); block = fl_link_get(block)) {
        if (count++ == slab->carved / LONG_PART)
            read_through(slab);
        fl_check_free(slab, block, "look at");
        size_t index = ((size_t)(block - slab->start) * inverse) >> FL_CLASS_INVERSE_SHIFT;
        uint64_t bit = UINT64_C(1) << (index % 64);
        if (blocks->free[index / 64] & bit)
            fl_misuse(slab, "free of", block, "freed twice (it is in the list of free blocks twice)");
        blocks->free[index / 64] |= bit;
    }
}

void fl_blocks_clear(const fl_slab *slab, uint64_t units, uint64_t *bits) {
    for (; units; units &= units - 1) {
        uint32_t first, end;
        fl_unit_blocks(slab, fl_unit_first(units), slab->carved, &first, &end);
        fl_pagebits_clear(bits, first, end - first);
    }
}

/* Live is what is carved, and neither free nor decommitted. */
static void find_live(const fl_slab *slab, fl_blocks *blocks) {
    memset(blocks->live, 0, sizeof blocks->live);
    fl_pagebits_set(blocks->live, 0, slab->carved);
    for (size_t i = 0; i < FL_BLOCKS_WORDS; i++)
        blocks->live[i] &= ~blocks->free[i];
    fl_blocks_clear(slab, slab->decommitted, blocks->live);
}

void fl_blocks_find(const fl_slab *slab, uint32_t head, fl_blocks *blocks) {
    memset(blocks->free, 0, sizeof blocks->free);
    note_free(slab, slab->free, blocks);
    if (head)
        note_free(slab, slab->start + (size_t)(head - 1) * 16, blocks);
    find_live(slab, blocks);
}
