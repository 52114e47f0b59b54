/* SPDX-License-Identifier: MIT */
/*
 * slabword.h: the protocol of frees between threads: one 64-bit word in each slab.
 *
 *      63       44 43        20 19       3 2     0
 *     ┌───────────┬────────────┬──────────┬───────┐
 *     │   count   │   owner    │   head   │ state │
 *     └───────────┴────────────┴──────────┴───────┘
 *
 *   head    the newest block of the list of blocks that other threads freed: offset / 16 + 1; 0: none.
 *           The list knows only "push some" and "take all", so it needs no generation.
 *   count   each push subtracts the number of blocks it brings, modulo 2^20. While a heap owns the slab, the
 *           count starts at 0 and so is minus the pushes not yet collected; in an abandoned slab it is the
 *           number of live blocks. A claimer that takes a slab from its owner adds the owner's count of used
 *           blocks, which turns the one into the other.
 *   owner   the tag of the owning heap in CURRENT, PARKED and NOTIFIED, so that a descriptor recycled
 *           meanwhile cannot fool a compare-and-swap from "parked, mine".
 *
 *   state      meaning                                   who may change it
 *   DEAD       no slab                                   whoever makes one of it
 *   CURRENT    the owner allocates from it               the owner; or whoever takes it while the owner
 *                                                        is outside (both hold the heap's lock)
 *   PARKED     in the owner's lists, not allocated       the owner or upkeep (both hold the heap's lock);
 *              from                                      the push that frees the reuse minimum
 *   NOTIFIED   parked, and in (or on its way to) the     whoever takes it from the stack; the pusher that
 *              owner's stack of slabs with the reuse     finds the stack closed
 *              minimum freed
 *   LISTED     abandoned, in its arena's list            an adopter; a purge; the push that frees the
 *                                                        last block, or the first at hand
 *   FLOATING   abandoned, nearly full, in no list        a purge; the push that makes it worth listing
 *   CLAIMED    in the hands of one thread                that thread alone
 *
 * A push that changes the state does so in its own compare-and-swap, and thereby takes on what must be done
 * next. Any other push never touches the slab again, but for a hint in its descriptor: the slab may be gone a
 * moment later. Nobody waits for a claim. tests/model/slabword.pml models this; change both together.
 */
#ifndef FL_SLABWORD_H
#define FL_SLABWORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t fl_word;

typedef enum fl_slab_state {
    FL_DEAD,
    FL_CURRENT,
    FL_PARKED,
    FL_NOTIFIED,
    FL_LISTED,
    FL_FLOATING,
    FL_CLAIMED
} fl_slab_state;

#define FL_WORD_HEAD_SHIFT 3
#define FL_WORD_OWNER_SHIFT 20
#define FL_WORD_COUNT_SHIFT 44
#define FL_WORD_STATE_MASK UINT64_C(7)
#define FL_WORD_HEAD_MASK ((UINT64_C(1) << 17) - 1)
#define FL_WORD_OWNER_MASK ((UINT64_C(1) << 24) - 1)
#define FL_WORD_COUNT_MASK ((UINT64_C(1) << 20) - 1)
#define FL_WORD_COUNT_ONE (UINT64_C(1) << FL_WORD_COUNT_SHIFT)

static inline fl_word fl_word_make(fl_slab_state state, uint32_t owner, uint32_t count, uint32_t head) {
    return (fl_word)state | (uint64_t)head << FL_WORD_HEAD_SHIFT | (uint64_t)owner << FL_WORD_OWNER_SHIFT |
           (uint64_t)count << FL_WORD_COUNT_SHIFT;
}

static inline fl_slab_state fl_word_state(fl_word word) {
    return (fl_slab_state)(word & FL_WORD_STATE_MASK);
}

static inline uint32_t fl_word_head(fl_word word) {
    return (uint32_t)((word >> FL_WORD_HEAD_SHIFT) & FL_WORD_HEAD_MASK);
}

static inline uint32_t fl_word_owner(fl_word word) {
    return (uint32_t)((word >> FL_WORD_OWNER_SHIFT) & FL_WORD_OWNER_MASK);
}

/* Returns the live blocks of an abandoned slab, or of one that its claimer has published. */
static inline uint32_t fl_word_live(fl_word word) {
    return (uint32_t)(word >> FL_WORD_COUNT_SHIFT);
}

/* Returns the pushes not yet collected of an owned slab, or of one claimed and not yet published. */
static inline uint32_t fl_word_pushed(fl_word word) {
    return (uint32_t)(-(word >> FL_WORD_COUNT_SHIFT) & FL_WORD_COUNT_MASK);
}

/* Returns the live blocks of any slab, given its word and what its owner, if any, counts as used. Read at
 * different moments, the two may give too many. */
static inline uint32_t fl_word_live_with(fl_word word, uint32_t used) {
    switch (fl_word_state(word)) {
    case FL_DEAD:
        return 0;
    case FL_LISTED:
    case FL_FLOATING:
        return fl_word_live(word);
    case FL_CLAIMED:
        if (!fl_word_owner(word))
            return fl_word_live(word);
        break;
    default:
        break;
    }
    return used - fl_word_pushed(word);
}

static inline fl_word fl_word_with_state(fl_word word, fl_slab_state state) {
    return (word & ~FL_WORD_STATE_MASK) | (fl_word)state;
}

/*
 * Returns the word after a push of `count` blocks, the newest of which is at `head`. The state changes if
 * this push must act: from PARKED to NOTIFIED when what was pushed reaches reuse_min_blocks; from FLOATING to
 * CLAIMED when listed_blocks are free; from LISTED to CLAIMED when all are, or if it must be listed anew.
 */
static inline fl_word fl_word_push(fl_word word, uint32_t head, uint32_t count, uint32_t reuse_min_blocks,
                                   uint32_t listed_blocks, uint32_t capacity, bool anew) {
    fl_word pushed = (word & ~(FL_WORD_HEAD_MASK << FL_WORD_HEAD_SHIFT)) - count * FL_WORD_COUNT_ONE;
    pushed |= (fl_word)head << FL_WORD_HEAD_SHIFT;
    switch (fl_word_state(word)) {
    case FL_PARKED:
        return fl_word_pushed(word) < reuse_min_blocks && fl_word_pushed(pushed) >= reuse_min_blocks
                   ? fl_word_with_state(pushed, FL_NOTIFIED)
                   : pushed;
    case FL_FLOATING:
        return fl_word_live(pushed) + listed_blocks <= capacity ? fl_word_with_state(pushed, FL_CLAIMED)
                                                                : pushed;
    case FL_LISTED:
        return fl_word_live(pushed) == 0 || anew ? fl_word_with_state(pushed, FL_CLAIMED) : pushed;
    default:
        return pushed;
    }
}

/* Returns the word that claims and publishes at once: a slab owned with `used` blocks out becomes abandoned
 * with so many live. */
static inline fl_word fl_word_published(fl_word word, uint32_t used) {
    word += (fl_word)used << FL_WORD_COUNT_SHIFT;
    word &= ~(FL_WORD_OWNER_MASK << FL_WORD_OWNER_SHIFT);
    return fl_word_with_state(word, FL_CLAIMED);
}

#endif
