/* SPDX-License-Identifier: MIT */
/*
 * misused.h: is this a live block, or a free one? Who finds that it is neither stops the process, with one line that says what was
 * found and where. Nothing here may stop a program that has done nothing wrong: a mark alone, which the program may have written
 * there itself, proves nothing before the block is found in a list; and a list proves something only to who has the slab in hand,
 * for what its owner has just handed out of it, and the program has filled, may look like a part of it.
 */
#ifndef FL_MISUSED_H
#define FL_MISUSED_H

#include "slab.h"

/* Stops the process. doing: "free of", "realloc of"; found: what, and in brackets how it was found. */
_Noreturn void fl_misuse(const fl_slab *slab, const char *doing, const void *block, const char *found);

/* What fl_check_free has found wrong, said. */
_Noreturn void fl_misuse_of_free(const fl_slab *slab, const char *doing, const void *block);

/* Has a block a mark and a link, as in a list? It proves nothing: the program may have written both. */
bool fl_looks_free(const fl_slab *slab, const void *block);

/* Of a block that looks free, for who has the slab in hand: stops the process unless what it looks like is the program's own. */
void fl_check_unlisted(const fl_slab *slab, const void *block, const char *doing);

/* For who has the slab in hand: the newest blocks of its list. */
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

/* Of a block in a list, before it is relied on. */
static inline void fl_check_free(const fl_slab *slab, const void *block, const char *doing) {
    if (__builtin_expect(!fl_is_free(slab, block), 0))
        fl_misuse_of_free(slab, doing, block);
}

/* From a list that is not empty: if there is nothing to pop all the same, its first block has been written to. */
static inline void *fl_slab_pop_checked(fl_slab *slab) {
    void *block = fl_slab_pop(slab);
    if (block)
        return block;
    fl_check_free(slab, slab->free, "allocation of");
    return fl_slab_pop(slab);
}

#endif
