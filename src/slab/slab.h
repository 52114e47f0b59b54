/* SPDX-License-Identifier: MIT */
/*
 * slab.h: a span cut into blocks of one size class; and, with the same descriptor, a large block. Its lists of free blocks, and
 * its entries in the page map.
 *
 * Descriptors lie outside the memory that they describe, are of 128 bytes, keep their type for ever, and are
 * found by their address in the window's table. The first line is written by the owner alone (or by the claimer,
 * while there is one); the second is shared.
 */
#ifndef FL_SLAB_H
#define FL_SLAB_H

#include <stddef.h>
#include <string.h>

#include "../arena/window.h"
#include "hardening.h"
#include "sizeclass.h"
#include "slabword.h"

struct fallow_arena;
struct fl_sample;

typedef enum fl_slab_kind {
    FL_KIND_SLAB = 1,
    FL_KIND_LARGE,
    FL_KIND_TRAP
} fl_slab_kind; /* the last: trap.h */

typedef struct fl_slab {
    /* The owner's line. */
    uint64_t end;      /* where the slab's lists of blocks end: a mark that is none */
    void *free;        /* list of free blocks */
    int32_t countdown; /* used - threshold: a free counts it down, and 0: the threshold is reached */
    int32_t threshold;
    uint32_t carved; /* blocks below this are live, in the free list, or touch a unit that is decommitted */
    uint32_t inside_bits; /* whose address has one of these may be no block: sizeclass.h */
    struct fl_slab *next; /* in the heap's list (heap's lock) or the arena's (lists' lock) */
    uint8_t partial;      /* parked, with the reuse minimum free */
    uint8_t linked;       /* in one of its heap's lists of parked slabs */
    _Atomic bool watched; /* current, at a limit: a free that may make a unit idle will say so (heap.h) */
    uint8_t filled;       /* all blocks were handed out since memory of it last went: the arena counts it */
    uint32_t since_s;     /* when it came into the list that it is in, in seconds */
    uint64_t decommitted; /* units that are Prepared: not carved yet, or purged (purge.h) */
    uint32_t purged_live; /* live blocks when it was last purged, since it last had an owner */
    uint8_t zeroed;       /* what is not carved reads as zero */
    uint8_t purge_round;  /* the last that claimed it */
    uint8_t chained;      /* while it waits to be used again: so many are in its chain, from it on */
    uint8_t seen;         /* upkeep's, of a current one: what its list looked like; never 0 */

    /* The shared line. What is not atomic is written before the slab's first block is handed out. */
    _Alignas(64) _Atomic fl_word word;
    struct fl_slab *notified_next; /* in the owner's stack of notified slabs */
    union {
        struct fl_slab *previous; /* as next, with the same lock */
        struct fl_sample *sample; /* of a large block that is one: sites.h; else NULL */
    };
    char *start;
    struct fallow_arena *arena;
    size_t pages;
    uint32_t capacity;
    uint32_t block_bytes;
    uint8_t size_class;
    uint8_t kind;
    _Atomic bool bare;           /* LISTED at a limit with no block at hand: the next push lists it anew */
    _Atomic uint32_t idle_below; /* abandoned, at a limit: with more live blocks, no unit is idle */
} fl_slab;

_Static_assert(sizeof(fl_slab) == 128, "two cache lines");

#define FL_NOT_PURGED UINT32_MAX    /* purged_live, until then */
#define FL_NOT_LOOKED_AT UINT32_MAX /* idle_below, until then */

/* The slab from which nothing can be had: what a heap allocates from before it has a slab of a class. */
extern fl_slab fl_empty_slab;

static inline fl_entry fl_entry_make(const fl_slab *slab, uint32_t tag) {
    return (fl_entry)(uintptr_t)slab | fl_entry_tag(tag);
}

static inline fl_slab *fl_entry_slab(fl_entry entry) {
    return fl_entry_descriptor(entry);
}

/*
 * A free block: the mark, and the link to the next one. A live block's mark is taken off when it is handed out; so who frees a block
 * that has one has most likely freed it before, and who is about to hand out one that has none finds the end of the list, or that
 * somebody has written where nothing was his. Lists end with their slab: its first word is no mark.
 *
 * The mark is what a comparison can hold as a constant, of bits that no address, no small number and no text has.
 */
typedef uint64_t __attribute__((may_alias)) fl_any_word; /* to C, blocks are the user's objects */
#define FL_FREE_MARK ((uint64_t)(int64_t)(int32_t)0xf1a110e7)

static inline fl_any_word *fl_mark_of(const void *block) {
    return (fl_any_word *)(uintptr_t)block;
}

static inline void *fl_link_get(const void *block) {
    uint64_t link = fl_mark_of(block)[1];
    return (void *)(uintptr_t)(FL_HARDENED ? fl_link_encoded(block, link) : link);
}

static inline void fl_link_set(void *block, const void *next) {
    uint64_t link = FL_HARDENED ? fl_link_encoded(block, (uintptr_t)next) : (uintptr_t)next;
    fl_mark_of(block)[0] = FL_HARDENED ? fl_link_mark(block, link) : FL_FREE_MARK;
    fl_mark_of(block)[1] = link;
}

static inline bool fl_is_marked(const void *block) {
    return *fl_mark_of(block) == (FL_HARDENED ? fl_link_mark(block, fl_mark_of(block)[1]) : FL_FREE_MARK);
}

static inline void *fl_list_end(const fl_slab *slab) {
    return (void *)(uintptr_t)slab;
}

static inline uint32_t fl_slab_used(const fl_slab *slab) {
    return (uint32_t)(slab->countdown + slab->threshold);
}

#if defined __has_feature
#if __has_feature(thread_sanitizer) && !defined __SANITIZE_THREAD__
#define __SANITIZE_THREAD__
#endif
#endif

/* What gcc 12 does not find by itself: to test against memory without a copy, to leave what is returned in the register that it is
 * returned in, to load an atomic word from where an index leads to, and to compare a mark and take it off in one. An instruction each,
 * of 41. */
#if defined __x86_64__ && defined __GNUC__ && !defined __SANITIZE_THREAD__
#define FL_LOAD(value, memory) __asm__("movq %1, %0" : "=r"(value) : "m"(memory))
#else
#define FL_LOAD(value, memory) ((value) = atomic_load_explicit(&(memory), memory_order_relaxed))
#endif
#if defined __x86_64__ && defined __GNUC__
#define FL_TEST(any, bits, memory) __asm__("test %1, %2" : "=@ccnz"(any) : "r"(bits), "m"(memory))
#define FL_RETURNED(value) __asm__("" : "+a"(value))
#else
#define FL_TEST(any, bits, memory) ((any) = ((bits) & (memory)) != 0)
#define FL_RETURNED(value) ((void)(value))
#endif

/* Takes the mark off a free block. False: it has none. (The end of the empty slab's list is every thread's: a mark that is none stays so
 * whatever is subtracted, and however often; the sanitizer is not to know.) */
static inline bool fl_mark_take(void *block) {
#if defined __x86_64__ && defined __GNUC__ && !defined __SANITIZE_THREAD__ && !FL_HARDENED
    bool other;
    __asm__("subq %2, %1" : "=@ccnz"(other), "+m"(*fl_mark_of(block)) : "e"((int64_t)FL_FREE_MARK));
    return !other;
#else
    if (!fl_is_marked(block))
        return false;
    *fl_mark_of(block) = 0;
    return true;
#endif
}

/* Marks what reads as zero, or (hardened) leaves that to the link. False: it does not. (Added to at once where that can be said: who reads first has a page fault more.) */
static inline bool fl_mark_give(void *block) {
    if (FL_HARDENED)
        return *fl_mark_of(block) == 0;
#if defined __x86_64__ && defined __GNUC__ && !defined __SANITIZE_THREAD__
    __asm__("addq %1, %0" : "+m"(*fl_mark_of(block)) : "e"((int64_t)FL_FREE_MARK));
#else
    *fl_mark_of(block) += FL_FREE_MARK;
#endif
    return fl_is_marked(block);
}

/* Takes the first block of the free list; NULL: it is empty, or somebody has written to its first block. */
static inline void *fl_slab_pop(fl_slab *slab) {
    void *block = slab->free;
    FL_RETURNED(block);
    if (__builtin_expect(!fl_mark_take(block), 0))
        return NULL;
    slab->free = fl_link_get(block);
    slab->countdown++;
    return block;
}

static inline bool fl_slab_has_free(const fl_slab *slab) {
    return slab->free != fl_list_end(slab);
}

/* With so many blocks in use, can there be a Ready unit that holds no part of one? (Blocks in use touch nothing that is decommitted.) A
 * hint where the slab is another's: it may change, or become another slab, meanwhile. */
__attribute__((no_sanitize("thread"))) static inline bool fl_slab_may_have_idle_unit(const fl_slab *slab,
                                                                                     size_t used) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    size_t decommitted_bytes = (size_t)__builtin_popcountll(slab->decommitted) << sizes->unit_shift;
    return (slab->pages << FL_PAGE_SHIFT) - decommitted_bytes - used * sizes->block_bytes >=
           (size_t)1 << sizes->unit_shift;
}

/* What has lain in a list for so long is not likely to be wanted soon. */
#define FL_OLD_SECONDS 10

/* A current slab that has become empty: the countdown reaches 0 with nothing used. Kept slabs are told apart by
 * a threshold of -1, which is never reached; carving sets another. */
#define FL_THRESHOLD_EMPTY 0
#define FL_THRESHOLD_NEVER (-1)

/* From now on, the free that leaves `threshold` blocks in use finds the countdown at zero. */
static inline void fl_slab_set_threshold(fl_slab *slab, int32_t threshold) {
    slab->countdown = (int32_t)fl_slab_used(slab) - threshold;
    slab->threshold = threshold;
}

/* Writes the table's entries of a slab. */
void fl_slab_tag(const fl_slab *slab, uint32_t tag);
void fl_slab_untable(const fl_slab *slab);

#endif
