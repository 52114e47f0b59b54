/* SPDX-License-Identifier: MIT */
/*
 * slab.h: a span cut into blocks of one size class, or, with the same descriptor, a large block; its lists of
 * free blocks, and its entries in the page map.
 *
 * Descriptors lie outside the memory that they describe, keep their type for ever, and are found by their
 * address in the window's table. Only the owner writes the first cache line (or the claimer, while there is
 * one); the second is shared.
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
} fl_slab_kind; /* the last kind: trap.h */

typedef struct fl_slab {
    /* The owner's line. */
    uint64_t end;      /* where the slab's lists of blocks end: no mark */
    void *free;        /* list of free blocks */
    int32_t countdown; /* used - threshold: a free counts it down; at 0 the threshold is reached */
    int32_t threshold;
    uint32_t carved; /* blocks below this are live, in the free list, or touch a unit that is decommitted */
    uint32_t inside_bits; /* an address with one of these bits may be no block: sizeclass.h */
    struct fl_slab *next; /* in the heap's list (heap's lock) or the arena's (lists' lock) */
    uint8_t partial;      /* parked or listed, with the reuse minimum free since since_ms */
    uint8_t linked;       /* in one of its heap's lists of parked slabs */
    _Atomic bool watched; /* current, at a limit: a free that may make a unit idle will say so (heap.h) */
    uint8_t filled;       /* all blocks were handed out since memory of it last went; the arena counts it */
    uint32_t since_ms;    /* since when nobody has allocated from it, or when it was spared; of ticks */
    uint64_t decommitted; /* units that are Prepared: not carved yet, or purged (purge.h) */
    uint32_t purged_live; /* live blocks at its last purge since it had an owner */
    uint8_t zeroed;       /* what is not carved yet reads as zero */
    uint8_t purge_round;  /* the last purge that claimed it */
    union {
        uint8_t chained; /* while it waits to be used again: how many are in its chain, from it on */
        uint8_t guarded; /* hardened, until its end: a guard page lies behind its blocks (units.h) */
    };
    uint8_t seen; /* upkeep's, of a current one: what its list looked like; never 0 */

    /* The shared line. What is not atomic is written before the slab's first block is handed out. */
    _Alignas(64) _Atomic fl_word word;
    struct fl_slab *notified_next; /* in the owner's stack of notified slabs */
    union {
        struct fl_slab *previous; /* like next, with the same lock */
        struct fl_sample *sample; /* of a large block that is sampled: sites.h; else NULL */
    };
    char *start;
    struct fallow_arena *arena;
    size_t pages;
    uint32_t capacity;
    uint32_t block_bytes;
    uint8_t size_class;
    uint8_t kind;
    _Atomic bool bare;           /* LISTED at a limit with no block at hand: the next push lists it again */
    bool tallied;                /* who has the claim has set its tally (tally.h) */
    _Atomic uint32_t idle_below; /* abandoned, at a limit: with more live blocks than this, no unit is idle */
} fl_slab;

_Static_assert(sizeof(fl_slab) == 128, "two cache lines");

/* purged_live until then; where the next purge goes on with what is idle already; and where a purge left it
 * as it was, for the sake of a huge page. */
#define FL_NOT_PURGED UINT32_MAX
#define FL_PURGED_IN_PART (UINT32_MAX - 1)
#define FL_SPARED (UINT32_MAX - 2)
#define FL_NOT_LOOKED_AT UINT32_MAX /* idle_below until then */

/* Whether this is a number of blocks. (By the value, as some read it of slabs that may be anybody's.) */
static inline bool fl_is_purged(uint32_t purged_live) {
    return purged_live < FL_SPARED;
}

/* The slab that never has a block: what a heap allocates from before it has a slab of a class. */
extern fl_slab fl_empty_slab;

static inline fl_entry fl_entry_make(const fl_slab *slab, uint32_t tag) {
    return (fl_entry)(uintptr_t)slab | fl_entry_tag(tag);
}

static inline fl_slab *fl_entry_slab(fl_entry entry) {
    return fl_entry_descriptor(entry);
}

/*
 * A free block: the mark, and the link to the next one. Handing a block out takes its mark off. So a block
 * that is freed with a mark was most likely freed before; and a block about to be handed out without one is
 * the end of the list, or somebody has written where nothing was theirs. Lists end with their slab, whose
 * first word is no mark.
 *
 * The mark is a value that a comparison can hold as a constant, with bits that no address, small number or
 * text has.
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

/* What gcc 12 does not find by itself, an instruction each: testing against memory without a copy; leaving
 * what is returned in its register; loading an atomic word through an index; comparing a mark and taking it
 * off in one. */
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

/* Takes the mark off a free block. Returns false if it has none. (All threads share the end of the empty
 * slab's list: subtracting whatever and however often makes no mark of it. The sanitizer is not to know.) */
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

/* Marks what reads as zero, or (hardened) leaves that to the link. Returns false if it does not read as zero.
 * (Where possible it adds without reading first, which would cost one more page fault.) */
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

/* Takes the first block of the free list. Returns NULL if there is none, or somebody has written to it. */
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

/* Returns how much of what is Ready, with so many blocks in use, no block takes: as much as could go at most.
 * A hint, as below. */
__attribute__((no_sanitize("thread"))) static inline size_t fl_slab_free_bytes(const fl_slab *slab,
                                                                               size_t used) {
    const fl_class *sizes = &fl_classes[slab->size_class];
    size_t decommitted_bytes = (size_t)__builtin_popcountll(slab->decommitted) << sizes->unit_shift;
    return (slab->pages << FL_PAGE_SHIFT) - decommitted_bytes - used * sizes->block_bytes;
}

/* Returns whether, with so many blocks in use, there can be a Ready unit that holds no part of one. (Blocks
 * in use touch nothing that is decommitted.) A hint if the slab is another's: it may change meanwhile, or
 * become another slab. */
__attribute__((no_sanitize("thread"))) static inline bool fl_slab_may_have_idle_unit(const fl_slab *slab,
                                                                                     size_t used) {
    return fl_slab_free_bytes(slab, used) >= (size_t)1 << fl_classes[slab->size_class].unit_shift;
}

/* A current slab that has become empty: the countdown reaches 0 with nothing used. A kept slab has a
 * threshold of -1, which is never reached; carving sets another. */
#define FL_THRESHOLD_EMPTY 0
#define FL_THRESHOLD_NEVER (-1)

/* Has the countdown at zero after the free that leaves `threshold` blocks in use. */
static inline void fl_slab_set_threshold(fl_slab *slab, int32_t threshold) {
    slab->countdown = (int32_t)fl_slab_used(slab) - threshold;
    slab->threshold = threshold;
}

void fl_slab_tag(const fl_slab *slab, uint32_t tag);
void fl_slab_untable(const fl_slab *slab);

#endif
