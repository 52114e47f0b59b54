/* SPDX-License-Identifier: MIT */
#include "misused.h"

#include "../system/fatal.h"
#include "arenas.h"

#define NEWEST 16 /* how much of a list slow paths look at: what was freed last, and new memory behind it */

_Noreturn void fl_misuse(const fl_slab *slab, const char *doing, const void *block, const char *found) {
    fl_line line;
    size_t offset = (size_t)((const char *)block - slab->start);
    fl_fatal_begin(&line, doing, block, found);
    if (offset < slab->pages << FL_PAGE_SHIFT) {
        fl_line_add(&line, "; block ");
        fl_line_add_number(&line, offset / slab->block_bytes);
        fl_line_add(&line, " of ");
        fl_line_add_number(&line, slab->capacity);
    } else
        fl_line_add(&line, "; blocks");
    fl_line_add(&line, " of ");
    fl_line_add_number(&line, slab->block_bytes);
    fl_line_add(&line, " bytes at ");
    fl_line_add_address(&line, slab->start);
    fl_line_add(&line, ", arena '");
    fl_line_add(&line, slab->arena->name);
    fl_line_add(&line, FL_HARDENED ? "'; valgrind or -fsanitize=address show who did it"
                                   : "'; `fallow run --hardened` may find it earlier, valgrind or "
                                     "-fsanitize=address show who did it");
    fl_fatal_end(&line);
}

/* Says what it finds in the order in which a list is followed. */
_Noreturn void fl_misuse_of_free(const fl_slab *slab, const char *doing, const void *block) {
    size_t offset = (size_t)((const char *)block - slab->start);
    if (offset >= slab->pages << FL_PAGE_SHIFT)
        fl_misuse(slab, doing, block,
                  "no block of its slab (the list of free blocks leads there: one of them was written to)");
    if (!fl_is_start(slab, block))
        fl_misuse(slab, doing, block,
                  "not the start of a block (it is in the list of free blocks: it was freed, or a link was "
                  "written to)");
    if (offset >= (size_t)slab->carved * slab->block_bytes)
        fl_misuse(slab, doing, block, "never handed out (it is in the list of free blocks)");
    fl_misuse(
        slab, doing, block,
        "written to after it was freed, or from the block before it (its mark as a free block is damaged)");
}

/* Looks as far as the list is one, and no further than there are blocks. */
static bool is_in(const fl_slab *slab, const void *at, const void *block) {
    for (uint32_t steps = 0; steps < slab->capacity && at != fl_list_end(slab) && fl_is_free(slab, at);
         steps++) {
        if (at == block)
            return true;
        at = fl_link_get(at);
    }
    return false;
}

/* Acquire: the links behind the head. Others meanwhile put blocks in front of that, and take none out. */
static bool is_listed(const fl_slab *slab, const void *block) {
    uint32_t head = fl_word_head(atomic_load_explicit(&slab->word, memory_order_acquire));
    return is_in(slab, slab->free, block) ||
           (head && is_in(slab, slab->start + (size_t)(head - 1) * 16, block));
}

/* The word behind a free block's mark leads on. So a program that has a mark in every block seldom pays for a
 * walk. */
bool fl_looks_free(const fl_slab *slab, const void *block) {
    const void *next = fl_link_get(block);
    return fl_is_marked(block) && (next == fl_list_end(slab) || fl_is_free(slab, next));
}

void fl_check_unlisted(const fl_slab *slab, const void *block, const char *doing) {
    if (is_listed(slab, block))
        fl_misuse(slab, doing, block,
                  "freed twice, or used after it was freed (it is in a list of free blocks)");
}

void fl_check_newest(const fl_slab *slab) {
    const void *block = slab->free;
    for (unsigned looks = NEWEST; looks > 0 && block != fl_list_end(slab);
         looks--, block = fl_link_get(block))
        fl_check_free(slab, block, "look at");
}
