/* SPDX-License-Identifier: MIT */
/*
 * hardening.h: what the hardened build keeps in a block beside its contents, and how. One build option, FL_HARDENED: 0 in all libraries
 * but libfallow-malloc-hardened, where nothing of this costs anything.
 *
 * A free block's mark and link (slab.h) are encoded with a secret and the block's address, and the mark covers the link: who follows a
 * list finds at the next step that either was written to.
 *
 *     block                     bytes asked for                    block + block_bytes
 *       ├── contents ──────────────┼── the fill, if there is room ──┼── end word ──┤
 *
 * The end word of a block that malloc has handed out, or will: what the block is, how many bytes lie between contents and end word, the
 * alignment that was asked for, and 35 bits of zeroes; all of it encoded with a secret and the block's address. A word of zeroes says
 * nothing: the memory is new, or has been given back. Who writes a byte behind the contents damages the fill or the end word.
 *
 * Codes are sums, as fast as they come: whoever has read a word of them can make others. They find mistakes, and strangers' guesses.
 *
 * Threads: an end word is written by who has the block in hand, whole, and may be read by others at any time: when it says that the
 * block is live, the fill has been written; when what the fill lies in is written otherwise, the word has changed before.
 */
#ifndef FL_HARDENING_H
#define FL_HARDENING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef FL_HARDENED
#define FL_HARDENED 0
#endif

typedef struct fl_secrets {
    uint64_t link, mark, wait;
    uint64_t end;  /* whose lowest byte is that of fill */
    uint64_t fill; /* eight bytes, none of them zero: what writes the same byte over all of them is seen */
} fl_secrets;

/* Of this process, and of those that it forks. Before the process's first block they are constants. */
extern fl_secrets fl_the_secrets;

/* Before anything is carved. */
void fl_hardening_init(void);

/* For orders, not for keys; any thread. */
uint64_t fl_hardening_random(void);

static inline uint64_t fl_link_encoded(const void *block, uint64_t link) {
    return link ^ fl_the_secrets.link ^ (uintptr_t)block << 16;
}

/* The mark of a block with that encoded link. */
static inline uint64_t fl_link_mark(const void *block, uint64_t encoded) {
    return encoded ^ (uintptr_t)block ^ fl_the_secrets.mark;
}

typedef enum fl_end_state {
    FL_END_UNKNOWN, /* carved of memory that was used before, and never handed out */
    FL_END_LIVE,
    FL_END_FREE /* from its free on; its first words, and who freed it, know more */
} fl_end_state;

#define FL_END_BYTES sizeof(uint64_t)
#define FL_END_GAP_MAX (((size_t)1 << 21) - 1)

/* To what a word says, and back. Its lowest byte is no zero: what writes the zero at the end of a string one byte too far is seen. */
static inline uint64_t fl_end_code(const void *block, uint64_t word) {
    return word ^ fl_the_secrets.end ^ (uintptr_t)block << 20;
}

#define FL_END_STATE ((uint64_t)3 << 8)
#define FL_END_ALIGNMENT ((uint64_t)63 << 10)
#define FL_END_GAP ((uint64_t)FL_END_GAP_MAX << 16)

static inline uint64_t fl_end_make(const void *block, fl_end_state state, unsigned alignment_shift,
                                   size_t gap) {
    return fl_end_code(block, (uint64_t)state << 8 | (uint64_t)alignment_shift << 10 | (uint64_t)gap << 16);
}

/* Of what a word says; so the next. */
static inline bool fl_end_is_valid(uint64_t said) {
    return (said & ~(FL_END_STATE | FL_END_ALIGNMENT | FL_END_GAP)) == 0;
}

static inline fl_end_state fl_end_state_of(uint64_t said) {
    return (fl_end_state)(said >> 8 & 3);
}

static inline bool fl_end_is_live(uint64_t said) {
    return (said & ~(FL_END_ALIGNMENT | FL_END_GAP)) == (uint64_t)FL_END_LIVE << 8;
}

static inline unsigned fl_end_alignment_shift(uint64_t said) {
    return said >> 10 & 63;
}

static inline size_t fl_end_gap(uint64_t said) {
    return said >> 16 & FL_END_GAP_MAX;
}

typedef uint64_t __attribute__((may_alias)) fl_end_word;

/* Of what ends there. Acquire and release: the order between the word and the fill, on either side of it. */
static inline uint64_t fl_end_read(const void *end) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n((const fl_end_word *)end - 1, __ATOMIC_ACQUIRE);
}

static inline void fl_end_write(void *end, uint64_t word) {
    __atomic_store_n((fl_end_word *)end - 1, word, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

#endif
