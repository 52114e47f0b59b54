/* SPDX-License-Identifier: MIT */
/*
 * sites.h: the books of the profile: for each site, which is an arena and the calls that led to an allocation in it, what was
 * sampled there, what of it lives, and what of it lived when all of it was most.
 *
 * A sampled block stands for more than itself (chance.h): counts and bytes are of all blocks, as estimated. Blocks are counted in
 * 1 / FL_WEIGHT_ONE. Sites stay for ever and are as many as there are different stacks, FL_SITES_MAX at most; what comes later counts in
 * one more, of no calls and no arena. They are read from outside as well (src/heap/root.h): linked in when they are complete.
 *
 * Threads: any; one lock, for each sample and each end of one.
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
    struct fl_site *next;               /* of all, the newest first */
    struct fl_site *same;               /* in its bucket */
    uint64_t total_blocks, total_bytes; /* ever */
    uint64_t live_blocks, live_bytes;
    uint64_t peak_blocks, peak_bytes; /* if peak_round is that of the books; else as live */
    uint64_t peak_round;
    uint32_t hash;
    uint32_t depth;
    char arena[FL_SITE_NAME_BYTES];
    uintptr_t calls[FL_FRAMES_MAX]; /* so many of them as are used have memory */
} fl_site;

/* A sampled block that lives. */
typedef struct fl_sample {
    fl_site *site; /* of one that is not in use: the next one */
    uint64_t blocks, bytes;
} fl_sample;

/* Written by whoever wants it on or off, another process too; and what holds: 0, or the shift and 1. A byte each: it is never
 * half written. */
typedef struct fl_sampling {
    _Atomic uint8_t wanted;
    _Atomic uint8_t active;
} fl_sampling;

typedef struct fl_profile_books {
    _Atomic(fl_site *) sites;
    uint64_t live_bytes, peak_bytes; /* of all sites */
    uint64_t round;                  /* of the peak: goes up whenever what lives ends to be the most */
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

/* The shift; -1: nothing is sampled. */
static inline int fl_sampling_shift(void) {
    return (int)atomic_load_explicit(&fl_the_sampling.active, memory_order_relaxed) - 1;
}

/* A block that has been sampled, at the calls from a frame on. NULL: no memory for the books; it is not counted. */
fl_sample *fl_sites_add(const void *frame, const char *arena, size_t bytes, unsigned shift);

/* It is freed. NULL: it was none. */
void fl_sites_end(fl_sample *sample);

/* A copy of a site, with its peak as it is now: the first of all, or the next. NULL: there is none. */
const fl_site *fl_sites_next(const fl_site *before, fl_site *copy);

#endif
