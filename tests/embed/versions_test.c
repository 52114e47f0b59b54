/* SPDX-License-Identifier: MIT */
/*
 * Programs that were compiled with other versions of the headers than the library: structures that are
 * shorter or longer than its own. What a shorter one lies in front of must stay as it is; what a longer one
 * asks for must not be ignored.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "../../src/system/sized.h"
#include "../lib/reading.h"
#include "../lib/stops.h"
#include "fallow/fallow.h"

#define GROWN 64 /* bytes, in versions to come */

static void sized_of_every_length(void) {
    enum { OURS = 48, FIRST = 24, ROOM = 80 };
    char ours[OURS], theirs[ROOM], got[OURS];
    for (int i = 0; i < OURS; i++)
        ours[i] = (char)(i + 1);
    for (size_t bytes = 0; bytes <= ROOM; bytes++) {
        memset(theirs, 'x', sizeof theirs);
        CHECK_EQUAL(fl_sized_fill(theirs, bytes, ours, OURS, FIRST), bytes >= FIRST);
        for (size_t i = 0; i < ROOM; i++)
            CHECK_EQUAL(theirs[i], bytes < FIRST || i >= bytes ? 'x' : i < OURS ? ours[i] : 0);
        memset(theirs, 0, sizeof theirs);
        memset(theirs, 'y', bytes < OURS ? bytes : OURS);
        memset(got, 0, sizeof got);
        CHECK_EQUAL(fl_sized_take(got, OURS, theirs, bytes, FIRST), bytes >= FIRST);
        for (size_t i = 0; i < OURS; i++)
            CHECK_EQUAL(got[i], bytes < FIRST || i >= bytes ? 0 : 'y');
        if (bytes > OURS) {
            theirs[bytes - 1] = 1;
            CHECK(!fl_sized_take(got, OURS, theirs, bytes, FIRST));
        }
    }
}

/* A structure of `bytes` is asked for with each length; who asks for a longer one gets zeroes behind it. */
static void expect_versions(bool (*ask)(void *out, size_t bytes), size_t bytes) {
    static char out[sizeof(fallow_stats) + 2 * GROWN];
    const size_t lengths[] = {0, sizeof(void *), bytes - 8, bytes, bytes + GROWN};
    for (int i = 0; i < 5; i++) {
        memset(out, 7, sizeof out);
        errno = 0;
        bool right = lengths[i] >= bytes;
        CHECK_EQUAL(ask(out, lengths[i]), right);
        CHECK(right || errno == EINVAL);
        for (size_t at = bytes; at < sizeof out; at++)
            CHECK_EQUAL(out[at], right && at < lengths[i] ? 0 : 7);
        CHECK(right || out[0] == 7);
    }
}

static fallow_arena *arena;
static fallow_fixed *fixed;

static bool ask_arena(void *out, size_t bytes) {
    return fallow_arena_read_sized(arena, out, bytes);
}
static bool ask_process(void *out, size_t bytes) {
    return fallow_process_read_sized(out, bytes);
}
static bool ask_stats(void *out, size_t bytes) {
    return fallow_arena_stats(arena, out, bytes);
}
static bool ask_fixed(void *out, size_t bytes) {
    return fallow_fixed_read_sized(fixed, out, bytes);
}
static bool ask_traits(void *out, size_t bytes) {
    errno = EINVAL; /* osmem leaves it alone */
    return osmem_backend_traits_sized(osmem_backend_system(), out, bytes);
}

static void figures_of_other_versions(void) {
    static _Alignas(64) char memory[4096];
    CHECK((arena = fallow_arena_create("versions", 0)) != NULL);
    CHECK((fixed = fallow_fixed_create(memory, sizeof memory, 0)) != NULL);
    expect_versions(ask_arena, sizeof(fallow_arena_figures));
    expect_versions(ask_process, sizeof(fallow_process_figures));
    expect_versions(ask_stats, sizeof(fallow_stats));
    expect_versions(ask_fixed, sizeof(fallow_fixed_figures));
    expect_versions(ask_traits, sizeof(osmem_traits));
    fallow_arena_destroy(arena);
}

static void options_of_other_versions(void) {
    struct {
        fallow_arena_options options;
        char more[GROWN];
    } longer = {.options = {.name = "longer", .limit_bytes = 1 << 20}};
    fallow_arena *one = fallow_arena_create_sized(&longer.options, sizeof longer);
    CHECK(one);
    CHECK_EQUAL(arena_figures(one).limit_bytes, 1 << 20);
    fallow_arena_destroy(one);
    longer.more[GROWN - 1] = 1; /* an option that this library does not know */
    errno = 0;
    CHECK(!fallow_arena_create_sized(&longer.options, sizeof longer) && errno == EINVAL);
    errno = 0;
    CHECK(!fallow_arena_create_sized(&longer.options, sizeof(void *)) && errno == EINVAL);
    errno = 0;
    CHECK(!fallow_arena_create_sized(&longer.options, 0) && errno == EINVAL);
}

static osmem_backend incomplete;

static void use_incomplete(void) {
    osmem_stat stat;
    osmem_stat_init(&stat, "incomplete", &incomplete, NULL);
}

static void backends_of_other_versions(void) {
    struct {
        osmem_backend backend;
        char more[GROWN];
    } longer = {.backend = *osmem_backend_system()};
    longer.backend.struct_bytes = sizeof longer;
    memset(longer.more, 7, sizeof longer.more);
    fallow_arena_options options = {.name = "back end", .backend = &longer.backend};
    fallow_arena *one = fallow_arena_create_sized(&options, sizeof options);
    CHECK(one && fallow_arena_alloc(one, 100));
    fallow_arena_destroy(one);
    incomplete = *osmem_backend_system();
    for (size_t bytes = sizeof(void *); bytes < offsetof(osmem_backend, split); bytes += sizeof(void *)) {
        incomplete.struct_bytes = bytes;
        options.backend = &incomplete;
        errno = 0;
        CHECK(!fallow_arena_create_sized(&options, sizeof options) && errno == EINVAL);
    }
    expect_stop(use_incomplete, "struct_bytes");
    incomplete.struct_bytes =
        offsetof(osmem_backend, split); /* before there was that; what lies there is not asked */
    memset(&incomplete.split, 7, sizeof incomplete.split);
    osmem_stat stat;
    osmem_stat_init(&stat, "before split", &incomplete, NULL);
    CHECK_EQUAL(osmem_split(longer.more, stat.traits.os_page_bytes, &stat), OSMEM_INVALID); /* no page */
    void *page = osmem_alloc(stat.traits.os_page_bytes, &stat);
    CHECK(page);
    CHECK_EQUAL(osmem_split(page, stat.traits.os_page_bytes, &stat), OSMEM_UNSUPPORTED);
}

/* A number and a text say the same, of the headers and of the library. */
static void version_is_one(void) {
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", FALLOW_VERSION_NUMBER / 10000, FALLOW_VERSION_NUMBER / 100 % 100,
             FALLOW_VERSION_NUMBER % 100);
    CHECK(!strcmp(text, FALLOW_VERSION));
    CHECK(!strcmp(fallow_version(), FALLOW_VERSION));
}

int main(void) {
    RUN(sized_of_every_length);
    RUN(figures_of_other_versions);
    RUN(options_of_other_versions);
    RUN(backends_of_other_versions);
    RUN(version_is_one);
    return 0;
}
