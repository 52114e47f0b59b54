/* SPDX-License-Identifier: MIT */
/*
 * One thread asks an arena for more than the system gives, in every way that there is to ask; others map,
 * fill, check and unmap memory of their own meanwhile, which has nothing to do with fallow. What is refused
 * is nobody's loss: not the arena's, and not a stranger's, whose new mapping lies just where the arena had
 * tried to be. (Before Linux 6.12 a refused mmap(MAP_FIXED) had already unmapped what lay there.)
 *
 * Usage: refused_race_test [REFUSALS [SEED]]
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../lib/check.h"
#include "../lib/reading.h"
#include "fallow/fallow.h"

#define TIB ((size_t)1 << 40)

/* A checking build looks at every page of what is asked for: millions. */
#if FL_CHECKS >= 2
#define REFUSALS 5
#define SIZES 1
#else
#define REFUSALS 2000
#define SIZES 4
#endif

#define STRANGERS 2
#define MAPPINGS 4 /* that a stranger holds at a time */

static uint64_t seed;
static size_t page;
static _Atomic unsigned long refusals, mapped, not_mapped;
static _Atomic bool stop;

/* The mapping that this thread looks at, for the message. */
static _Thread_local struct {
    char *volatile start;
    volatile size_t bytes;
} looked_at;

static void fault(int signal, siginfo_t *info, void *unused) {
    char line[200];
    (void)unused;
    const char *at = info->si_addr;
    bool own = at >= looked_at.start && at < looked_at.start + looked_at.bytes;
    int length = snprintf(
        line, sizeof line, "refused_race_test: failed: signal %d at %p, %s, after %lu refusals\n", signal,
        info->si_addr, own ? "in the thread's own mapping" : "outside of the thread's mapping", refusals);
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        _exit(2);
    _exit(1);
}

typedef struct mapping {
    char *start;
    size_t bytes;
    uint64_t pattern;
} mapping;

static uint64_t word_of(const mapping *it, size_t at) {
    return it->pattern + at * UINT64_C(0x9e3779b97f4a7c15);
}

/* False: the system refuses, by its limit on mappings or on memory. */
static bool map(mapping *it, uint64_t *random) {
    size_t bytes = (16 + check_random(random) % 300) * page;
    char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return false;
    *it = (mapping){start, bytes, check_random(random)};
    looked_at.start = start, looked_at.bytes = bytes;
    for (size_t at = 0; at < bytes; at += page) {
        uint64_t word = word_of(it, at);
        memcpy(start + at, &word, sizeof word);
    }
    return true;
}

static void verify(const mapping *it) {
    looked_at.start = it->start, looked_at.bytes = it->bytes;
    for (size_t at = 0; at < it->bytes; at += page) {
        uint64_t word;
        memcpy(&word, it->start + at, sizeof word);
        CHECK_EQUAL(word, word_of(it, at));
    }
}

/* A thread that knows nothing of fallow. */
static void *stranger(void *number) {
    mapping own[MAPPINGS] = {{NULL, 0, 0}};
    uint64_t random = seed + (uintptr_t)number;
    while (!stop) {
        mapping *it = &own[check_random(&random) % MAPPINGS];
        if (it->start) {
            verify(it);
            CHECK_EQUAL(munmap(it->start, it->bytes), 0);
            it->start = NULL;
        }
        if (map(it, &random)) {
            verify(it);
            mapped++;
        } else
            not_mapped++;
    }
    for (int i = 0; i < MAPPINGS; i++)
        if (own[i].start) {
            verify(&own[i]);
            CHECK_EQUAL(munmap(own[i].start, own[i].bytes), 0);
        }
    return NULL;
}

/* What the system refuses at once: the least power of two, from a GiB on; 0 where it promises everything. */
static size_t refused_bytes(void) {
    for (size_t bytes = (size_t)1 << 30; bytes <= 8 * TIB; bytes *= 2) {
        void *got = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (got == MAP_FAILED)
            return bytes;
        munmap(got, bytes);
    }
    return 0;
}

#define KEPT_BYTES_MAX ((size_t)5 << 20)
static const size_t kept_bytes[] = {100, 30000, 700000, KEPT_BYTES_MAX};
#define KEPT (sizeof kept_bytes / sizeof *kept_bytes)

static void verify_kept(unsigned char *const *kept) {
    for (size_t i = 0; i < KEPT; i++)
        for (size_t at = 0; at < kept_bytes[i]; at += 97)
            CHECK_EQUAL(kept[i][at], i + 1);
}

/* One request of each kind, as long as there are to be more; all of them are in vain. */
static void ask(fallow_arena *arena, unsigned char *const *kept, size_t bytes, unsigned long wanted,
                uint64_t *random) {
    unsigned char *block = kept[check_random(random) % KEPT];
    size_t alignment = page << check_random(random) % 16, got = 77;
    CHECK(!fallow_arena_resize(arena, block, bytes));
    for (int kind = 0; kind < 5 && refusals < wanted; kind++) {
        void *result;
        errno = 0;
        if (kind == 0)
            result = fallow_arena_alloc(arena, bytes);
        else if (kind == 1)
            result = fallow_arena_alloc_zeroed(arena, bytes);
        else if (kind == 2)
            result = fallow_arena_alloc_aligned(arena, alignment, bytes);
        else if (kind == 3)
            result = fallow_arena_alloc_at_least(arena, bytes, &got);
        else
            result = fallow_arena_realloc(arena, block, bytes);
        CHECK(!result);
        CHECK_EQUAL(errno, ENOMEM);
        refusals++;
    }
    CHECK_EQUAL(got, 77);
}

static void refused_requests_take_nothing_from_others(size_t least, unsigned long wanted) {
    pthread_t threads[STRANGERS];
    unsigned char *kept[KEPT];
    uint64_t random = seed;
    fallow_arena *arena = fallow_arena_create("refused", 0);
    CHECK(arena);
    for (size_t i = 0; i < KEPT; i++) {
        CHECK((kept[i] = fallow_arena_alloc(arena, kept_bytes[i])) != NULL);
        memset(kept[i], (int)i + 1, kept_bytes[i]);
    }
    for (uintptr_t i = 0; i < STRANGERS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, stranger, (void *)(i + 1)), 0);
    for (int round = 0; refusals < wanted; round++) {
        /* Just refused, twice and four times that, a TiB; and a little more now and then. */
        size_t bytes = (round % SIZES < 3 || least > TIB ? least << round % SIZES : TIB) +
                       (round % 3 ? 0 : check_random(&random) % least);
        ask(arena, kept, bytes, wanted, &random);
        if (round % 16 == 0) {
            verify_kept(kept);
            void *small = fallow_arena_alloc(arena, 1 + check_random(&random) % 100000);
            CHECK(small); /* as ever */
            fallow_arena_free(arena, small);
        }
    }
    stop = true;
    for (int i = 0; i < STRANGERS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    verify_kept(kept);
    fallow_arena_figures figures = arena_figures(arena);
    CHECK_EQUAL(figures.ready_bytes, figures.granted_bytes - figures.decommitted_bytes + figures.idle_bytes);
    fallow_arena_destroy(arena);
}

int main(int argc, char **argv) {
    struct utsname system;
    struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    unsigned long wanted = argc > 1 ? strtoul(argv[1], NULL, 0) : REFUSALS;
    seed = check_seed(argc - 1, argv + 1);
    page = (size_t)sysconf(_SC_PAGESIZE);
    size_t least = refused_bytes();
    if (!least) {
        puts("skipped refused_race: the system promises any amount of memory");
        return 77;
    }
    CHECK_EQUAL(sigaction(SIGSEGV, &action, NULL), 0);
    CHECK_EQUAL(sigaction(SIGBUS, &action, NULL), 0);
    CHECK_EQUAL(uname(&system), 0);
    refused_requests_take_nothing_from_others(least, wanted);
    printf(
        "# Linux %s: %lu requests of %zu GiB and more refused; %lu mappings of others whole, %lu refused\n",
        system.release, refusals, least >> 30, mapped, not_mapped);
    puts("ok refused_requests_take_nothing_from_others");
    return 0;
}
