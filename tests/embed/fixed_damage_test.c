/* SPDX-License-Identifier: MIT */
/*
 * A shared fixed allocator in memory that is damaged: a call says so, and so does every later one, of all
 * processes, until a repair; that leaves what live blocks hold as it is, hands nothing of it out, and gives
 * up no more than it must.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/reading.h"

#define BYTES ((size_t)64 << 10)
#define LENGTH_AT 56 /* before it lie what says that there is an allocator, and the lock */
#define BLOCKS 60

typedef struct block {
    unsigned char *start;
    size_t bytes;
    unsigned char pattern;
} block;

static unsigned char *memory;
static fallow_fixed *fixed;
static block blocks[BLOCKS];

static void verify_all(void) {
    for (block *it = blocks; it < blocks + BLOCKS; it++)
        for (size_t i = 0; it->start && i < it->bytes; i++)
            CHECK_EQUAL(it->start[i], it->pattern);
}

static void set_up(uint64_t seed) {
    memset(blocks, 0, sizeof blocks);
    memset(memory, 0, BYTES);
    CHECK(fixed = fallow_fixed_create(memory, BYTES, FALLOW_FIXED_SHARED));
    for (int i = 0; i < 400; i++) {
        block *it = &blocks[check_random(&seed) % BLOCKS];
        if (it->start) {
            CHECK(fallow_fixed_free(fixed, it->start));
            it->start = NULL;
            continue;
        }
        it->bytes = check_random(&seed) % 1500;
        it->pattern = (unsigned char)check_random(&seed);
        it->start = fallow_fixed_alloc(fixed, it->bytes);
        if (it->start)
            memset(it->start, it->pattern, it->bytes);
    }
}

static bool count_block(void *count, void *start, size_t bytes) {
    (void)start, (void)bytes;
    ++*(size_t *)count;
    return true;
}

static bool is_refused(bool failed) {
    return failed && errno == ENOTRECOVERABLE;
}

static void expect_every_call_to_fail(void) {
    block *it = blocks;
    while (!it->start)
        it++;
    size_t count = 0;
    errno = 0;
    CHECK(is_refused(!fallow_fixed_alloc(fixed, 1)) && (errno = 0) == 0);
    CHECK(is_refused(!fallow_fixed_alloc_aligned(fixed, 64, 1)) && (errno = 0) == 0);
    CHECK(is_refused(!fallow_fixed_realloc(fixed, it->start, 5000)) && (errno = 0) == 0);
    CHECK(is_refused(!fallow_fixed_free(fixed, it->start)) && (errno = 0) == 0);
    CHECK(is_refused(any_fixed_figures(fixed).total_bytes == 0) && (errno = 0) == 0);
    CHECK(is_refused(!fallow_fixed_walk(fixed, count_block, &count)) && (errno = 0) == 0);
    CHECK(is_refused(!fallow_fixed_open(memory, BYTES)));
    CHECK_EQUAL(count, 0);
}

/* Everything that can be had is written to; then live blocks hold what they held, and can be freed. */
static void expect_use(void) {
    size_t had = 0;
    errno = 0;
    for (unsigned char *all; (all = fallow_fixed_alloc(fixed, 100)) != NULL; had++) {
        CHECK(all >= memory && all + fallow_fixed_usable_bytes(all) <= memory + BYTES);
        memset(all, 0xee, fallow_fixed_usable_bytes(all));
    }
    CHECK_EQUAL(errno, ENOMEM);
    verify_all();
    for (block *it = blocks; it < blocks + BLOCKS; it++) {
        if (!it->start)
            continue;
        unsigned char *moved = fallow_fixed_realloc(fixed, it->start, it->bytes + 40);
        if (moved)
            it->start = moved;
        verify_all();
        CHECK(fallow_fixed_free(fixed, it->start));
        it->start = NULL;
        verify_all();
    }
}

static void repair(void) {
    CHECK(fallow_fixed_repair(memory, BYTES, 0) == fixed);
    CHECK(fallow_fixed_open(memory, BYTES) == fixed);
    verify_all();
}

/* Each live block in turn writes over the tag behind it. */
static void fixed_damage_of_each_tag(void) {
    size_t lost_bytes = 0, total_bytes = 0;
    for (int victim = 0; victim < BLOCKS; victim++) {
        set_up(3);
        block *it = &blocks[victim];
        if (!it->start)
            continue;
        fallow_fixed_figures whole = any_fixed_figures(fixed);
        memset(it->start + fallow_fixed_usable_bytes(it->start), 0xff, 8);
        CHECK(!fallow_fixed_open(memory, BYTES) && errno == ENOTRECOVERABLE);
        expect_every_call_to_fail();
        repair();
        fallow_fixed_figures now = any_fixed_figures(fixed);
        CHECK_EQUAL(now.total_bytes, whole.total_bytes);
        CHECK(now.lost_bytes && now.blocks < whole.blocks);
        lost_bytes += now.lost_bytes;
        total_bytes += now.total_bytes;
        expect_use();
        CHECK(fallow_fixed_reset(fixed));
        now = any_fixed_figures(fixed);
        CHECK(now.lost_bytes == 0 && now.largest_bytes + 8 == whole.total_bytes);
    }
    CHECK(lost_bytes && lost_bytes < total_bytes / 8);
}

/* What is found where a call comes upon it, and not by a look at everything. */
static void fixed_damage_found_by_a_call(void) {
    set_up(5);
    block *it = blocks;
    while (!it->start)
        it++;
    memset(it->start + fallow_fixed_usable_bytes(it->start), 0, 8);
    CHECK(is_refused(!fallow_fixed_free(fixed, it->start)));
    expect_every_call_to_fail();
    pid_t child = fork();
    if (child == 0) { /* another process is told as well, and may mend it for all */
        CHECK(is_refused(!fallow_fixed_alloc(fixed, 1)));
        repair();
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    expect_use();
}

/* Links and counts cost nothing: they can be told from the blocks. */
/* Each word of the bookkeeping leads far outside: whichever call comes upon it first. */
static void fixed_damage_is_not_followed(void) {
    for (size_t place = LENGTH_AT; place < FALLOW_FIXED_OVERHEAD_BYTES - 128; place += 8) {
        set_up(4);
        *(uint64_t *)(void *)(memory + place) = (UINT64_C(1) << 40) + 8;
        for (block *it = blocks; it < blocks + BLOCKS; it++) {
            if (it->start && it->bytes % 2 && fallow_fixed_free(fixed, it->start))
                it->start = NULL;
            unsigned char *some = fallow_fixed_alloc(fixed, it->bytes);
            CHECK(!some || (some >= memory && some + it->bytes <= memory + BYTES));
            if (some)
                memset(some, 0xdd, it->bytes);
        }
        (void)any_fixed_figures(fixed);
        repair();
        expect_use();
    }
}

static void fixed_damage_of_each_word_of_the_bookkeeping(void) {
    set_up(4);
    size_t bookkeeping = 0;
    for (block *it = blocks; it < blocks + BLOCKS; it++)
        if (it->start && (!bookkeeping || (size_t)(it->start - memory) < bookkeeping))
            bookkeeping = (size_t)(it->start - memory) - 16;
    size_t told = 0;
    for (size_t place = LENGTH_AT; place + 8 <= bookkeeping && place < FALLOW_FIXED_OVERHEAD_BYTES - 128;
         place += 8) {
        set_up(4);
        fallow_fixed_figures whole = any_fixed_figures(fixed);
        uint64_t *word = (uint64_t *)(void *)(memory + place), was = *word;
        *word = was + 1000;
        bool is_told = !fallow_fixed_open(memory, BYTES);
        told += is_told;
        if (is_told)
            expect_every_call_to_fail();
        repair();
        fallow_fixed_figures now = any_fixed_figures(fixed);
        CHECK_EQUAL(now.blocks, whole.blocks);
        CHECK_EQUAL(now.used_bytes, whole.used_bytes);
        CHECK_EQUAL(now.lost_bytes, 0);
        expect_use();
    }
    CHECK(told > 10); /* what of it was in use */
}

static void fixed_damage_of_the_lock_or_the_length(void) {
    set_up(6);
    size_t live = any_fixed_figures(fixed).blocks;
    memory[LENGTH_AT] ^= 1;
    expect_every_call_to_fail();
    CHECK(!fallow_fixed_reset(fixed));
    repair();
    CHECK_EQUAL(any_fixed_figures(fixed).blocks, live);
    memset(memory + 8, 0xff, 40);
    CHECK(fallow_fixed_repair(memory, BYTES, FALLOW_FIXED_SHARED | FALLOW_FIXED_ALONE) == fixed);
    CHECK_EQUAL(any_fixed_figures(fixed).blocks, live);
    expect_use();
    CHECK(!fallow_fixed_repair(memory, BYTES, 64) && errno == EINVAL);
    memory[0] ^= 1;
    CHECK(!fallow_fixed_repair(memory, BYTES, 0) && errno == EINVAL);
    CHECK(!fallow_fixed_open(memory, BYTES) && errno == EINVAL);
}

/* A repair of what is sound changes nothing; one after another adds up. */
static void fixed_damage_again_and_again(void) {
    set_up(8);
    fallow_fixed_figures whole = any_fixed_figures(fixed), now;
    repair();
    now = any_fixed_figures(fixed);
    CHECK(!memcmp(&now, &whole, sizeof now));
    size_t lost = 0;
    for (int victim = 0; victim < BLOCKS; victim += 3) {
        block *it = &blocks[victim];
        if (!it->start)
            continue;
        it->bytes = it->bytes < 16 ? it->bytes : 16;
        memset(it->start + 24, 0x3f, 1600); /* far beyond it */
        for (block *other = blocks; other < blocks + BLOCKS; other++)
            if (other != it && other->start > it->start && other->start < it->start + 1624)
                other->start = NULL;
        repair();
        now = any_fixed_figures(fixed);
        CHECK(now.lost_bytes >= lost);
        lost = now.lost_bytes;
    }
    CHECK(lost);
    expect_use();
}

int main(void) {
    memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    RUN(fixed_damage_of_each_tag);
    RUN(fixed_damage_found_by_a_call);
    RUN(fixed_damage_is_not_followed);
    RUN(fixed_damage_of_each_word_of_the_bookkeeping);
    RUN(fixed_damage_of_the_lock_or_the_length);
    RUN(fixed_damage_again_and_again);
    return 0;
}
