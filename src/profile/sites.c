/* SPDX-License-Identifier: MIT */
#include "sites.h"

#include <string.h>

#include "../arena/window.h"
#include "../system/lock.h"
#include "copies.h"

#define BUCKETS 4096
#define SAMPLES_AT_ONCE 128

fl_sampling fl_the_sampling;
fl_profile_books fl_the_books;

/* The lock of the profile guards all of this, and the sites' counts. */
static fl_site *buckets[BUCKETS];
static fl_sample *unused;
static fl_site wanted; /* where calls are gathered: too large for malloc's stack */

static uint32_t hash_of(const fl_site *site) {
    uint64_t hash = site->depth;
    for (unsigned i = 0; i < site->depth; i++)
        hash = (hash ^ site->calls[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
    for (unsigned i = 0; i < FL_SITE_NAME_BYTES && site->arena[i]; i++)
        hash = (hash ^ (unsigned char)site->arena[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 32);
}

static bool are_same(const fl_site *a, const fl_site *b) {
    return a->hash == b->hash && a->depth == b->depth &&
           memcmp(a->calls, b->calls, a->depth * sizeof *a->calls) == 0 &&
           memcmp(a->arena, b->arena, sizeof a->arena) == 0;
}

static fl_site *find(const fl_site *like) {
    fl_site *site = buckets[like->hash % BUCKETS];
    while (site && !are_same(site, like))
        site = site->same;
    return site;
}

static fl_site *make(const fl_site *like) {
    size_t head = offsetof(fl_site, calls), calls = like->depth * sizeof *like->calls;
    fl_site *site = fl_meta_alloc(head + calls);
    if (!site)
        return NULL;
    memcpy(site, like, head);
    memcpy(site->calls, like->calls, calls);
    site->same = buckets[site->hash % BUCKETS];
    site->next = atomic_load_explicit(&fl_the_books.sites, memory_order_relaxed);
    buckets[site->hash % BUCKETS] = site;
    fl_the_books.site_count++;
    /* Release: a reader without the lock finds the site complete. */
    atomic_store_explicit(&fl_the_books.sites, site, memory_order_release);
    return site;
}

static fl_site *site_at(const void *frame, const char *arena) {
    memset(&wanted, 0, offsetof(fl_site, calls));
    for (unsigned i = 0; i < FL_SITE_NAME_BYTES - 1 && arena[i]; i++)
        wanted.arena[i] = arena[i];
    wanted.depth = fl_frames_walk(frame, wanted.calls);
    wanted.hash = hash_of(&wanted);
    fl_site *site = find(&wanted);
    if (site || fl_the_books.site_count < FL_SITES_MAX)
        return site ? site : make(&wanted);
    wanted.depth = 0; /* nor of an arena, whose names may be as many as there are arenas */
    memset(wanted.arena, 0, sizeof wanted.arena);
    wanted.hash = hash_of(&wanted);
    site = find(&wanted);
    return site ? site : make(&wanted);
}

static void put_sample(fl_sample *sample) {
    sample->copy = 0;
    sample->site = (fl_site *)unused;
    unused = sample;
}

static fl_sample *take_sample(void) {
    if (!unused) {
        fl_sample *more = fl_meta_alloc(SAMPLES_AT_ONCE * sizeof *more);
        for (unsigned i = 0; more && i < SAMPLES_AT_ONCE; i++)
            put_sample(&more[i]);
    }
    fl_sample *sample = unused;
    if (sample)
        unused = (fl_sample *)sample->site;
    return sample;
}

/* Before a site's counts change: keeps what was live at the peak, while live bytes of all sites are fewer
 * than then. */
static void keep_peak(fl_site *site) {
    if (fl_the_books.past_peak && site->peak_round != fl_the_books.round) {
        site->peak_blocks = site->live_blocks;
        site->peak_bytes = site->live_bytes;
        site->peak_round = fl_the_books.round;
    }
}

static void count_in(fl_sample *sample) {
    fl_site *site = sample->site;
    keep_peak(site);
    site->total_blocks += sample->blocks;
    site->total_bytes += sample->bytes;
    site->live_blocks += sample->blocks;
    site->live_bytes += sample->bytes;
    fl_the_books.live_bytes += sample->bytes;
    if (fl_the_books.live_bytes > fl_the_books.peak_bytes) {
        fl_the_books.peak_bytes = fl_the_books.live_bytes;
        fl_the_books.past_peak = false;
    }
}

static void count_out(const fl_sample *sample) {
    if (!fl_the_books.past_peak) {
        fl_the_books.past_peak = true;
        fl_the_books.round++;
    }
    keep_peak(sample->site);
    sample->site->live_blocks -= sample->blocks;
    sample->site->live_bytes -= sample->bytes;
    fl_the_books.live_bytes -= sample->bytes;
}

/* Apart, for the stack. */
static __attribute__((noinline)) void copy_stack(fl_sample *sample) {
    fl_copy *copy = fl_copies_take();
    if (!copy)
        return;
    sample->copy = copy->number;
    copy->sample = sample;
    copy->site = sample->site;
    copy->sample_blocks = sample->blocks;
    copy->sample_bytes = sample->bytes;
    fl_copies_finish(copy);
}

fl_sample *fl_sites_add(const void *frame, const char *arena, size_t bytes, unsigned shift) {
    uint64_t blocks = fl_chance_weight(bytes, shift);
    fl_lock_take(fl_lock_of(FL_LOCK_PROFILE));
    fl_sample *sample = take_sample();
    fl_site *site = sample ? site_at(frame, arena) : NULL;
    if (site) {
        *sample = (fl_sample){site, blocks, (uint64_t)(((unsigned __int128)blocks * bytes) >> 16), 0};
        count_in(sample);
        if (fl_copies_are_wanted())
            copy_stack(sample);
    } else if (sample) {
        put_sample(sample);
        sample = NULL;
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_PROFILE));
    return sample;
}

void fl_sites_end(fl_sample *sample) {
    if (!sample)
        return;
    fl_lock_take(fl_lock_of(FL_LOCK_PROFILE));
    count_out(sample);
    put_sample(sample);
    fl_lock_drop(fl_lock_of(FL_LOCK_PROFILE));
}

const fl_site *fl_sites_next(const fl_site *before, fl_site *copy) {
    const fl_site *site =
        before ? before->next : atomic_load_explicit(&fl_the_books.sites, memory_order_acquire);
    if (!site)
        return NULL;
    fl_lock_take(fl_lock_of(FL_LOCK_PROFILE));
    memcpy(copy, site, offsetof(fl_site, calls) + site->depth * sizeof *site->calls);
    if (!fl_the_books.past_peak || site->peak_round != fl_the_books.round) {
        copy->peak_blocks = site->live_blocks;
        copy->peak_bytes = site->live_bytes;
    }
    fl_lock_drop(fl_lock_of(FL_LOCK_PROFILE));
    return site;
}
