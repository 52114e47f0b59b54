/* SPDX-License-Identifier: MIT */
/*
 * misused.h: tells live blocks from free ones, and stops the process if a block is neither, with one line
 * that says what was found and where. It must never stop a correct program. The program may have written a
 * mark itself, so a mark proves nothing until the block is found in a list; and a list proves something only
 * to a thread that has the slab in hand, because a block that the owner has just handed out and the program
 * has filled may look like part of the list.
 */
#ifndef FL_MISUSED_H
#define FL_MISUSED_H

#include "slab.h"

/* Stops the process. `doing` is "free of", "realloc of"; `found` is what was found and, in brackets, how. */
_Noreturn void fl_misuse(const fl_slab *slab, const char *doing, const void *block, const char *found);

/* Stops the process and says what fl_check_free has found. */
_Noreturn void fl_misuse_of_free(const fl_slab *slab, const char *doing, const void *block);

/* Returns whether a block has a mark and a link, as in a list. This proves nothing: the program may have
 * written both. */
bool fl_looks_free(const fl_slab *slab, const void *block);

/* Stops the process unless a block that looks free merely holds what the program wrote. Caller has the slab
 * in hand. */
void fl_check_unlisted(const fl_slab *slab, const void *block, const char *doing);

/* Checks the newest blocks of the slab's list. Caller has the slab in hand. */
void fl_check_newest(const fl_slab *slab);

static inline bool fl_is_start(const fl_slab *slab, const void *block) {
    size_t offset = (size_t)((const char *)block - slab->start);
    uint64_t index = (offset * fl_classes[slab->size_class].inverse) >> FL_CLASS_INVERSE_SHIFT;
    return index * slab->block_bytes == offset && index < slab->capacity;
}

static inline bool fl_is_free(const fl_slab *slab, const void *block) {
    size_t offset = (size_t)((const char *)block - slab->start);
    return offset < (size_t)slab->carved * slab->block_bytes && fl_is_start(slab, block) &&
           fl_is_marked(block);
}

/* Stops the process unless the address is that of a block of this slab, which may be another thread's. */
static inline void fl_check_start(const fl_slab *slab, const void *block, const char *doing) {
    if (__builtin_expect(!fl_is_start(slab, block), 0))
        fl_misuse(slab, doing, block, "not the start of a block (found by its place in its slab)");
}

/* Checks a block found in a list before anything relies on it. */
static inline void fl_check_free(const fl_slab *slab, const void *block, const char *doing) {
    if (__builtin_expect(!fl_is_free(slab, block), 0))
        fl_misuse_of_free(slab, doing, block);
}

/* Pops from a list that is not empty: if that fails, the first block was overwritten. */
static inline void *fl_slab_pop_checked(fl_slab *slab) {
    void *block = fl_slab_pop(slab);
    if (block)
        return block;
    fl_check_free(slab, slab->free, "allocation of");
    return fl_slab_pop(slab);
}

#endif
