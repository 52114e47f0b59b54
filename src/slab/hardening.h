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
 * alignment that was asked for, and a check of these, of the address, and of a secret. A word of zeroes says nothing: the memory is
 * new, or has been given back. Who writes a byte behind the contents damages the fill or the end word.
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
    uint64_t link, mark, mark_factor; /* factors are odd */
    uint64_t end, end_factor;
    uint64_t fill; /* a byte eight times, no zero */
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
    uint64_t mixed = (encoded ^ ((uintptr_t)block >> 4) ^ fl_the_secrets.mark) * fl_the_secrets.mark_factor;
    return mixed ^ mixed >> 32;
}

typedef enum fl_end_state {
    FL_END_UNKNOWN, /* carved of memory that was used before, and never handed out */
    FL_END_LIVE,
    FL_END_WAITING, /* in a quarantine: its first words are of there */
    FL_END_FREE     /* zero, but for the first words */
} fl_end_state;

#define FL_END_BYTES sizeof(uint64_t)
#define FL_END_GAP_MAX (((size_t)1 << 21) - 1)
#define FL_END_BITS 37 /* that say something; the others check it */

/* The lowest byte is no zero: what writes the zero at the end of a string one byte too far is seen. */
static inline uint64_t fl_end_checked(const void *block, uint64_t said) {
    uint64_t mixed = (said ^ (uintptr_t)block << 8 ^ fl_the_secrets.end) * fl_the_secrets.end_factor;
    return said | mixed >> FL_END_BITS << FL_END_BITS;
}

static inline uint64_t fl_end_make(const void *block, fl_end_state state, unsigned alignment_shift,
                                   size_t gap) {
    return fl_end_checked(block, (fl_the_secrets.fill & 0xff) | (uint64_t)state << 8 |
                                     (uint64_t)alignment_shift << 10 | (uint64_t)gap << 16);
}

static inline bool fl_end_is_valid(const void *block, uint64_t word) {
    return word == fl_end_checked(block, word & (((uint64_t)1 << FL_END_BITS) - 1));
}

static inline fl_end_state fl_end_state_of(uint64_t word) {
    return (fl_end_state)(word >> 8 & 3);
}

static inline unsigned fl_end_alignment_shift(uint64_t word) {
    return word >> 10 & 63;
}

static inline size_t fl_end_gap(uint64_t word) {
    return word >> 16 & FL_END_GAP_MAX;
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
