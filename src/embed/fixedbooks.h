/* SPDX-License-Identifier: MIT */
/*
 * fixedbooks.h: what an allocator in given memory writes down there, and the ways to read and write it.
 * Nothing else in these files stores a word there: a process may be killed at any instruction, and the next
 * must be able to undo what it had begun.
 *
 *     chunk  │ tag: bytes of the chunk, and two bits │ block …                                       │
 *     free   │ tag                                   │ next │ previous (offsets) │ …    │ bytes again │
 *
 * A chunk's bytes are a multiple of 16 and its tag lies 8 bytes before a multiple of 16. IN_USE is about the
 * chunk itself, PREVIOUS_IN_USE about the one before it: only if that is free do the last 8 bytes before the
 * tag hold its size.
 *
 * The log. A call records each word's place and old value before it changes the word; `logged` becomes 0 when
 * all is done. A caller that gets the lock and finds it not 0 follows one that was killed, and puts the old
 * values back, the last first. That can itself be cut off at any instruction, and done again. The caches of
 * one machine agree, and the lock passes through the kernel if its owner has died: only the compiler must be
 * made to keep the order.
 */
#ifndef FL_FIXEDBOOKS_H
#define FL_FIXEDBOOKS_H

#include <stdatomic.h>
#include <stdint.h>

#include "../system/lock.h"
#include "fallow/fixed.h"

#define FIXED_MAGIC UINT64_C(0x32786966776c6166)
#define IN_USE ((size_t)1)
#define PREVIOUS_IN_USE ((size_t)2)
#define TAG_BITS ((size_t)15)
#define CHUNK_MIN ((size_t)32)
#define EXACT_BYTES ((size_t)512) /* below this, each list holds chunks of one size */
#define LISTS 64
#define LAST_LIST_SHIFT (LISTS - 1 - 32 + 9) /* no chunk in the last list is shorter than 1 << that */
#define LOG_WORDS 28                         /* what a realloc to another place writes */

typedef struct fixed_undo {
    size_t place; /* offset of the word */
    size_t was;
} fixed_undo;

struct fallow_fixed {
    uint64_t magic;
    fl_shared_lock lock;
    size_t is_shared;
    size_t bytes; /* of all, with this structure */
    size_t bytes_inverted;
    size_t damaged; /* not 0: every call but reset and repair fails */
    size_t logged;
    fixed_undo log[LOG_WORDS];
    /* From here on, each word is recorded before it is written. */
    size_t lost_from, lost_bytes; /* chunks of unknown bounds behind a damaged tag; none: 0, 0 */
    size_t used_bytes, blocks;
    size_t filled;       /* a bit for each list that is not empty */
    size_t first[LISTS]; /* offsets of chunks; for an empty list, anything */
};

#define FIXED_BYTES_MIN ((size_t)FALLOW_FIXED_OVERHEAD_BYTES + 64)

/* Where the first chunk's tag lies, so that blocks are aligned. */
#define FIRST_CHUNK (((sizeof(fallow_fixed) + 7) & ~(size_t)15) + 8)

_Static_assert(FIRST_CHUNK + 8 + 8 + 16 <= FALLOW_FIXED_OVERHEAD_BYTES - 63, "the promise on size");

static inline size_t *fixed_word(const fallow_fixed *fixed, size_t place) {
    return (size_t *)((char *)fixed + place);
}

static inline size_t *tag_at(const fallow_fixed *fixed, size_t chunk) {
    return fixed_word(fixed, chunk);
}

static inline size_t bytes_of(const fallow_fixed *fixed, size_t chunk) {
    return *tag_at(fixed, chunk) & ~TAG_BITS;
}

/* Returns the last tag, which is always in use. */
static inline size_t end_of(const fallow_fixed *fixed) {
    return (fixed->bytes & ~(size_t)15) - 8;
}

static inline size_t *next_of(const fallow_fixed *fixed, size_t chunk) {
    return tag_at(fixed, chunk) + 1;
}

static inline size_t *previous_of(const fallow_fixed *fixed, size_t chunk) {
    return tag_at(fixed, chunk) + 2;
}

/* Returns the word of a free chunk that repeats its bytes. */
static inline size_t *last_word_of(const fallow_fixed *fixed, size_t chunk, size_t bytes) {
    return fixed_word(fixed, chunk + bytes - 8);
}

static inline unsigned list_for(size_t bytes) {
    if (bytes < EXACT_BYTES)
        return (unsigned)(bytes / 16);
    unsigned list = 32 + (63 - (unsigned)__builtin_clzll(bytes)) - 9;
    return list < LISTS ? list : LISTS - 1;
}

static inline size_t first_in_list(const fallow_fixed *fixed, unsigned list) {
    return fixed->filled >> list & 1 ? fixed->first[list] : 0;
}

static inline bool is_lost(const fallow_fixed *fixed, size_t chunk) {
    return chunk - fixed->lost_from < fixed->lost_bytes;
}

static inline bool is_chunk_place(const fallow_fixed *fixed, size_t chunk) {
    return chunk - FIRST_CHUNK <= end_of(fixed) - CHUNK_MIN - FIRST_CHUNK && chunk % 16 == 8;
}

/* Returns whether all that is said of a chunk agrees that it is free. */
static inline bool is_free_chunk(const fallow_fixed *fixed, size_t chunk) {
    if (!is_chunk_place(fixed, chunk))
        return false;
    size_t tag = *tag_at(fixed, chunk), bytes = tag & ~TAG_BITS;
    return (tag & TAG_BITS) == PREVIOUS_IN_USE && bytes >= CHUNK_MIN && bytes <= end_of(fixed) - chunk &&
           *last_word_of(fixed, chunk, bytes) == bytes &&
           (*tag_at(fixed, chunk + bytes) & (IN_USE | PREVIOUS_IN_USE)) == IN_USE;
}

static inline bool fixed_knows_bytes(const fallow_fixed *fixed) {
    return fixed->bytes == ~fixed->bytes_inverted;
}

#endif
