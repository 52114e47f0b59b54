/* SPDX-License-Identifier: MIT */
/*
 * hardening.h: what the hardened build keeps in a block beside its contents. FL_HARDENED is 1 in
 * libfallow-malloc-hardened alone; in all other libraries it is 0, and nothing here costs anything.
 *
 * A free block's mark and link (slab.h) are encoded with a secret and the block's address, and the mark
 * covers the link: following a list shows at the next step whether either was overwritten.
 *
 *     block                     bytes asked for                    block + block_bytes
 *       ├── contents ──────────────┼── the fill, if there is room ──┼── end word ──┤
 *
 * Each block that malloc has handed out, or will, ends with an end word. It says what the block is, how many
 * bytes lie between the contents and the word, and which alignment was asked for, followed by 35 zero bits,
 * all encoded with a secret and the block's address. A word of zeroes says nothing: the memory is new, or was
 * given back. Writing one byte behind the contents damages the fill or the end word.
 *
 * The codes are exclusive ors, for speed: whoever has read one encoded word can make others. They find
 * mistakes and blind guesses, not an attacker who can read.
 *
 * Threads: whoever has the block in hand writes the end word, in one store, and any thread may read it at any
 * time. If the word says that the block is live, the fill has been written; before the memory of the fill is
 * used for anything else, the word changes.
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
    uint64_t end;  /* its lowest byte is fill's */
    uint64_t fill; /* eight nonzero bytes, each random, so that writing one value over all of them shows */
} fl_secrets;

/* Those of this process and of the processes it forks. Constants until the process's first block. */
extern fl_secrets fl_the_secrets;

/* Must be called before anything is carved. */
void fl_hardening_init(void);

/* Returns a number for random orders, not for keys. Any thread may call it. */
uint64_t fl_hardening_random(void);

static inline uint64_t fl_link_encoded(const void *block, uint64_t link) {
    return link ^ fl_the_secrets.link ^ (uintptr_t)block << 16;
}

/* Returns the mark of a block with that encoded link. */
static inline uint64_t fl_link_mark(const void *block, uint64_t encoded) {
    return encoded ^ (uintptr_t)block ^ fl_the_secrets.mark;
}

typedef enum fl_end_state {
    FL_END_UNKNOWN, /* carved from memory used before, and never handed out */
    FL_END_LIVE,
    FL_END_FREE /* since it was freed; its first words say more */
} fl_end_state;

#define FL_END_BYTES sizeof(uint64_t)
#define FL_END_GAP_MAX (((size_t)1 << 21) - 1)

/* Encodes what a word says, and decodes it. The lowest byte of the result is not zero, so that the zero at
 * the end of a string, written one byte too far, shows. */
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

/* This and the next take a decoded word. */
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

/* Read and write the end word of a block that ends there. The fences order the word and the fill, on either
 * side. */
static inline uint64_t fl_end_read(const void *end) {
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n((const fl_end_word *)end - 1, __ATOMIC_ACQUIRE);
}

static inline void fl_end_write(void *end, uint64_t word) {
    __atomic_store_n((fl_end_word *)end - 1, word, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

#endif
