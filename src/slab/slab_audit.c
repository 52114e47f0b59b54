/* SPDX-License-Identifier: MIT */
/* It follows a link only when it knows that the link leads to a block of the slab with memory behind it. */
#include "slab_audit.h"

typedef int fl_slab_audit_of_no_use_in_this_build; /* a file may not be empty */

#if FL_CHECKS >= 2

#include "../arena/page_audit.h"
#include "../osmem/checker.h"
#include "arenas.h"
#include "liveblocks.h"
#include "tally.h"

static size_t bytes_of(const fl_slab *slab) {
    return slab->pages << FL_PAGE_SHIFT;
}

void fl_audit_entries(const fl_slab *slab, uint32_t tag) {
    for (size_t page = 0; page < slab->pages; page++) {
        const char *at = slab->start + (page << FL_PAGE_SHIFT);
        fl_audit_that(fl_entry_of(at) == fl_entry_make(slab, tag), at,
                      "the page's entry in the table is not its slab with the tag of who owns it");
    }
}

static void audit_shape(const fl_slab *slab) {
    fl_audit_that(slab->kind == FL_KIND_SLAB && slab->size_class < FL_CLASS_COUNT, slab,
                  "the descriptor is of no slab");
    const fl_class *sizes = &fl_classes[slab->size_class];
    bool has_room = slab->capacity == sizes->capacity || (FL_HARDENED && slab->capacity < sizes->capacity);
    fl_audit_that(slab->block_bytes == sizes->block_bytes && has_room, slab->start,
                  "the slab's blocks are not those of its class");
    fl_audit_that(slab->pages == sizes->slab_pages, slab->start,
                  "the slab's pages are not as many as its class needs");
    fl_audit_that(slab->carved <= slab->capacity, slab->start,
                  "more blocks are carved than the slab has room for");
}

/* Units [unit, end) are alike. */
static void audit_states(const fl_slab *slab, size_t unit, size_t end, bool decommitted) {
    const char *start = slab->start + (unit << fl_unit_shift(slab));
    size_t bytes = (end - unit) << fl_unit_shift(slab);
    for (size_t at = 0, alike; at < bytes; at += alike) {
        alike = bytes - at;
        fl_state state = fl_checker_state_of(&slab->arena->pages.stat, start + at, &alike);
        fl_audit_that(state == (decommitted ? FL_PREPARED : FL_READY), start + at,
                      decommitted ? "the unit is decommitted to its slab, to osmem it is not Prepared"
                                  : "the unit is there to its slab, to osmem it is not Ready");
    }
}

static bool is_decommitted(const fl_slab *slab, size_t unit) {
    return slab->decommitted >> unit & 1;
}

static void audit_units(const fl_slab *slab) {
    size_t units = bytes_of(slab) >> fl_unit_shift(slab), end;
    fl_audit_that(!(slab->decommitted & ~fl_unit_bits(0, units - 1)), slab->start,
                  "units are decommitted that the slab does not have");
    for (size_t unit = 0; unit < units; unit = end) {
        for (end = unit + 1; end < units && is_decommitted(slab, end) == is_decommitted(slab, unit);)
            end++;
        audit_states(slab, unit, end, is_decommitted(slab, unit));
    }
}

/* Checks the blocks of one list; `whole` are those that are carved and touch nothing that is decommitted.
 * Returns how many. */
static size_t audit_list(const fl_slab *slab, const char *block, const uint64_t *whole, uint64_t *free) {
    size_t count = 0;
    for (; block != fl_list_end(slab); block = fl_link_get(block), count++) {
        size_t offset = (size_t)(block - slab->start);
        fl_audit_that(offset < bytes_of(slab), slab->start, "a list of free blocks leads out of the slab");
        size_t index = (offset * fl_classes[slab->size_class].inverse) >> FL_CLASS_INVERSE_SHIFT;
        fl_audit_that(index * slab->block_bytes == offset && index < slab->carved, block,
                      "in a list of free blocks, but not the start of a block that was carved");
        uint64_t bit = UINT64_C(1) << (index % 64);
        fl_audit_that(whole[index / 64] & bit, block,
                      "in a list of free blocks, but it touches a unit that is decommitted");
        fl_audit_that(fl_is_marked(block), block, "in a list of free blocks, but not marked as free");
        fl_audit_that(!(free[index / 64] & bit), block, "the block is in lists of free blocks twice");
        free[index / 64] |= bit;
    }
    return count;
}

static void audit_owned(const fl_slab *slab, fl_word word, size_t whole, size_t free, size_t pushed) {
    fl_audit_equal(slab->start, "the owner's count of used blocks (countdown + threshold)",
                   fl_slab_used(slab), "what is carved, not decommitted and not in the free list",
                   whole - free);
    fl_audit_equal(slab->start, "the word's count of pushes", fl_word_pushed(word),
                   "the list of what others freed", pushed);
}

static void audit_abandoned(const fl_slab *slab, fl_word word, size_t whole, size_t free) {
    uint32_t live = fl_word_live(word), fair = fl_classes[slab->size_class].reuse_min_blocks;
    fl_audit_equal(slab->start, "the word's count of live blocks", live,
                   "what is carved, not decommitted and in no list", whole - free);
    fl_audit_that(fl_word_state(word) != FL_LISTED || live < slab->capacity, slab->start,
                  "the slab is LISTED, but has no free block");
    fl_audit_that(fl_word_state(word) != FL_FLOATING || live + fair > slab->capacity, slab->start,
                  "the slab is FLOATING, but has enough free blocks to be listed");
}

static void audit_word(const fl_slab *slab, fl_word word) {
    fl_slab_state state = fl_word_state(word);
    bool owned = state == FL_CURRENT || state == FL_PARKED || state == FL_NOTIFIED;
    bool unowned = state == FL_LISTED || state == FL_FLOATING;
    fl_audit_that(owned || unowned || state == FL_CLAIMED, slab->start,
                  "the slab's word is DEAD, or in no state");
    fl_audit_that(!owned || fl_word_owner(word), slab->start,
                  "the slab's word is in a state of an owner, but names none");
    fl_audit_that(!unowned || !fl_word_owner(word), slab->start,
                  "the slab's word is in a state of nobody, but names an owner");
}

static size_t count_bits(const uint64_t *bits) {
    return fl_pagebits_count(bits, 0, FL_CAPACITY_MAX);
}

/* What frees that are under way have not taken off yet, they have pushed: nobody is in the middle of one.
 * `live`: bits of blocks. */
static void audit_tally(const fl_slab *slab, const uint64_t *live) {
    for (size_t unit = 0; unit < bytes_of(slab) >> fl_unit_shift(slab); unit++) {
        uint32_t first, end;
        fl_unit_blocks(slab, unit, slab->carved, &first, &end);
        size_t count = fl_pagebits_count(live, first, end - first);
        fl_audit_that(fl_tally_of(slab, unit) <= count, slab->start + (unit << fl_unit_shift(slab)),
                      "the unit's tally is higher than the number of live blocks that touch it");
    }
}

void fl_audit_slab(const fl_slab *slab) {
    fl_blocks blocks = {{0}, {0}}; /* live: for those that are whole */
    /* Acquire: the links behind the head. */
    fl_word word = atomic_load_explicit(&slab->word, memory_order_acquire);
    audit_shape(slab);
    audit_word(slab, word);
    audit_units(slab);
    fl_pagebits_set(blocks.live, 0, slab->carved);
    fl_blocks_clear(slab, slab->decommitted, blocks.live);
    size_t whole = count_bits(blocks.live), pushed = 0;
    size_t free = audit_list(slab, slab->free, blocks.live, blocks.free);
    if (fl_word_head(word))
        pushed =
            audit_list(slab, slab->start + (size_t)(fl_word_head(word) - 1) * 16, blocks.live, blocks.free);
    for (size_t i = 0; i < FL_BLOCKS_WORDS; i++)
        blocks.live[i] &= ~blocks.free[i];
    if (fl_word_owner(word)) {
        audit_owned(slab, word, whole, free, pushed);
        return;
    }
    audit_abandoned(slab, word, whole, free + pushed);
    audit_tally(slab, blocks.live);
}

#endif
