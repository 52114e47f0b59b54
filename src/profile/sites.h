/* SPDX-License-Identifier: MIT */
/*
 * sites.h: the books of the profile. A site is an arena and the calls that led to an allocation in it. For
 * each site the books have what was sampled there, what of it is live, and what of it was live when the live
 * bytes of all sites were at their peak.
 *
 * A sampled block stands for more than itself (chance.h): counts and bytes are estimates for all blocks.
 * Blocks are counted in 1 / FL_WEIGHT_ONE. Sites stay for ever. There are as many as there are different
 * stacks, but at most FL_SITES_MAX; what comes later counts in one more, without calls or arena. Other
 * processes read them too (src/heap/root.h): a site is complete before it is linked in.
 *
 * Threads: any; one lock, taken for each sample and each end of one.
 */
#ifndef FL_SITES_H
#define FL_SITES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "chance.h"
#include "frames.h"

#define FL_SITES_MAX 16384
#define FL_SITE_NAME_BYTES 32

typedef struct fl_site {
    struct fl_site *next;               /* in the list of all, the newest first */
    struct fl_site *same;               /* in its bucket's list */
    uint64_t total_blocks, total_bytes; /* ever */
    uint64_t live_blocks, live_bytes;
    uint64_t peak_blocks, peak_bytes; /* if the books are past the peak of peak_round; else as live */
    uint64_t peak_round;
    uint32_t hash;
    uint32_t depth;
    char arena[FL_SITE_NAME_BYTES];
    uintptr_t calls[FL_FRAMES_MAX]; /* only the used ones have memory */
} fl_site;

/* A live sampled block. */
typedef struct fl_sample {
    fl_site *site; /* of one that is not in use: the next such */
    uint64_t blocks, bytes;
    uint64_t copy; /* the number of its stack's copy; 0: there is none, or the sample has ended */
} fl_sample;

/* wanted: written by whoever wants sampling on or off, another process too. active: what holds. Each is 0, or
 * the shift plus 1, and one byte, so that it is never half written. */
typedef struct fl_sampling {
    _Atomic uint8_t wanted;
    _Atomic uint8_t active;
} fl_sampling;

typedef struct fl_profile_books {
    _Atomic(fl_site *) sites;
    uint64_t live_bytes, peak_bytes; /* of all sites */
    uint64_t round;                  /* of the peak: goes up each time that live bytes fall from a new peak */
    uint32_t site_count;
    bool past_peak;
} fl_profile_books;

extern fl_sampling fl_the_sampling;
extern fl_profile_books fl_the_books;

static inline bool fl_sampling_is_asked(void) {
    return atomic_load_explicit(&fl_the_sampling.wanted, memory_order_relaxed) !=
           atomic_load_explicit(&fl_the_sampling.active, memory_order_relaxed);
}

static inline bool fl_sampling_is_of_concern(void) {
    return atomic_load_explicit(&fl_the_sampling.wanted, memory_order_relaxed) ||
           atomic_load_explicit(&fl_the_sampling.active, memory_order_relaxed);
}

/* Returns the shift; -1: nothing is sampled. */
static inline int fl_sampling_shift(void) {
    return (int)atomic_load_explicit(&fl_the_sampling.active, memory_order_relaxed) - 1;
}

/* Counts a sampled block, at the calls from a frame on. Returns NULL, and does not count it, if there is no
 * memory for the books. */
fl_sample *fl_sites_add(const void *frame, const char *arena, size_t bytes, unsigned shift);

/* Counts its end. NULL: the block was no sample. */
void fl_sites_end(fl_sample *sample);

/* Copies a site, with its peak as of now: the first of all, or the next. Returns NULL if there is none. */
const fl_site *fl_sites_next(const fl_site *before, fl_site *copy);

#endif
