/* SPDX-License-Identifier: MIT */
/* The profile in arenas: what its books hold at most, blocks that change their size, and arenas at their
 * limit. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/check.h"
#include "fallow/arena.h"
#include "fallow/profile.h"

/* What the profile says: how many sites, and how many bytes of an arena live. */
static size_t sites_of(const char *arena, double *live_bytes) {
    FILE *file = tmpfile();
    CHECK(file);
    CHECK(fallow_profile_write(fileno(file)));
    rewind(file);
    static char line[4096];
    size_t sites = 0;
    *live_bytes = 0;
    while (fgets(line, sizeof line, file)) {
        double bytes;
        line[strcspn(line, "\n")] = '\0';
        const char *name = strrchr(line, ' ');
        if (sscanf(line, "site %*s %lf", &bytes) != 1)
            continue;
        sites++;
        if (name && !strcmp(name + 1, arena))
            *live_bytes += bytes;
    }
    fclose(file);
    return sites;
}

static fallow_arena *arena_of(const char *name, size_t limit_bytes) {
    fallow_arena *arena = fallow_arena_create(name, limit_bytes);
    CHECK(arena);
    return arena;
}

/* 2000 blocks of 192 KiB, in samples of 1 MiB, made smaller where they are: 6 widths of the estimate are 35
 * %. */
static void sampled_blocks_that_shrink_count_for_all_of_them(void) {
    enum { BLOCKS = 2000 };
    static void *blocks[BLOCKS];
    double live;
    fallow_arena *arena = arena_of("shrinks", 0);
    CHECK(fallow_profile_start((size_t)1 << 20));
    for (int i = 0; i < BLOCKS; i++)
        CHECK((blocks[i] = fallow_arena_alloc(arena, (size_t)192 << 10)) != NULL);
    for (int i = 0; i < BLOCKS; i++)
        CHECK(fallow_arena_resize(arena, blocks[i], (size_t)144 << 10));
    fallow_profile_stop();
    sites_of("shrinks", &live);
    double truth = (double)BLOCKS * (144 << 10);
    CHECK(live > 0.6 * truth && live < 1.4 * truth);
    fallow_arena_destroy(arena);
    sites_of("shrinks", &live);
    CHECK(live == 0);
}

/* A block holds what it says that it holds: asking for all of it, or most, moves nothing. */
static void sampled_blocks_hold_what_they_say(void) {
    fallow_arena *arena = arena_of("holds", 0);
    CHECK(fallow_profile_start(1));
    for (size_t bytes = 1; bytes < 200000; bytes += bytes / 3 + 1) {
        void *block = fallow_arena_alloc(arena, bytes);
        CHECK(block);
        size_t usable = fallow_arena_usable_bytes(block);
        CHECK(usable >= bytes);
        CHECK(fallow_arena_resize(arena, block, usable));
        CHECK(fallow_arena_usable_bytes(block) == usable);
        CHECK(fallow_arena_realloc(arena, block, usable) == block);
        fallow_arena_free(arena, block);
    }
    fallow_profile_stop();
    fallow_arena_destroy(arena);
}

static size_t times_asked;

static bool count_asked(void *context, size_t wanted_bytes) {
    (void)context, (void)wanted_bytes;
    times_asked++;
    return false;
}

static uint64_t refusals_of(const fallow_arena *arena) {
    return fallow_arena_read(arena).refusals;
}

/* At a limit a block that is at hand is had; for a sample of it nobody is asked, and nothing refused. */
static void sampled_blocks_ask_for_nothing_at_a_limit(void) {
    enum { SMALL = 200 };
    void *small[SMALL];
    fallow_arena *arena = arena_of("limit", (size_t)4 << 20);
    fallow_arena_on_limit(arena, count_asked, NULL);
    for (int i = 0; i < SMALL; i++)
        CHECK((small[i] = fallow_arena_alloc(arena, 64)) != NULL);
    while (fallow_arena_alloc(arena, 20000))
        ;
    while (fallow_arena_alloc(arena, 4096))
        ;
    for (int i = 0; i < SMALL; i += 2)
        fallow_arena_free(arena, small[i]);
    size_t asked = times_asked;
    uint64_t refused = refusals_of(arena);
    CHECK(asked > 0 && refused > 0);
    CHECK(fallow_profile_start(1));
    for (int i = 0; i < SMALL; i += 2)
        CHECK((small[i] = fallow_arena_alloc(arena, 64)) != NULL);
    fallow_profile_stop();
    CHECK_EQUAL(times_asked, asked);
    CHECK_EQUAL(refusals_of(arena), refused);
    fallow_arena_destroy(arena);
}

/* A program that names its arenas by what they are for may make millions, each with another name. */
static void sampled_sites_are_so_many_at_most(void) {
    enum { ARENAS = 20000, SITES_MAX = 16384 + 1 };
    char name[32];
    double live;
    CHECK(fallow_profile_start(1));
    for (int i = 0; i < ARENAS; i++) {
        snprintf(name, sizeof name, "request-%d", i);
        fallow_arena *arena = arena_of(name, 0);
        CHECK(fallow_arena_alloc(arena, 100));
        fallow_arena_destroy(arena);
    }
    fallow_profile_stop();
    size_t sites = sites_of("request-0", &live);
    CHECK(sites > 1000 && sites <= SITES_MAX);
    CHECK(live == 0);
}

/* Descriptors that take nothing, each for another reason; one that takes all of it says none. */
static void sampled_profile_says_why_it_cannot_be_written(void) {
    int ends[2];
    char byte = 0;
    errno = 0;
    CHECK(!fallow_profile_write(-1) && errno == EBADF);
    int full = open("/dev/full", O_WRONLY), read_only = open("/dev/null", O_RDONLY);
    CHECK(full >= 0 && read_only >= 0);
    CHECK(!fallow_profile_write(full) && errno == ENOSPC);
    CHECK(!fallow_profile_write(read_only) && errno == EBADF);
    CHECK(pipe2(ends, O_NONBLOCK) == 0);
    while (write(ends[1], &byte, 1) == 1) /* until it holds no more */
        ;
    CHECK(!fallow_profile_write(ends[1]) && errno == EAGAIN);
    int null = open("/dev/null", O_WRONLY);
    errno = 0;
    CHECK(fallow_profile_write(null) && errno == 0);
    close(full), close(read_only), close(null), close(ends[0]), close(ends[1]);
}

int main(void) {
    RUN(sampled_profile_says_why_it_cannot_be_written);
    RUN(sampled_blocks_that_shrink_count_for_all_of_them);
    RUN(sampled_blocks_hold_what_they_say);
    RUN(sampled_blocks_ask_for_nothing_at_a_limit);
    RUN(sampled_sites_are_so_many_at_most); /* last: the books are full then */
    return 0;
}
