/* SPDX-License-Identifier: MIT */
/* pagebits against tables of cases and against a slow model, bit by bit. */
#include "../../src/arena/pagebits.h"

#include <string.h>

#include "../lib/check.h"

#define WORDS 8
#define BITS (WORDS * 64)

static bool bit(const uint64_t *bits, size_t i) {
    return bits[i / 64] >> (i % 64) & 1;
}

static size_t slow_find(const uint64_t *bits, size_t limit, size_t count, size_t alignment) {
    for (size_t first = 0; first + count <= limit; first += alignment) {
        size_t run = 0;
        while (run < count && !bit(bits, first + run))
            run++;
        if (run == count)
            return first;
    }
    return FL_PAGEBITS_NONE;
}

/* used: pairs (first, count) of set bits, ended by count 0. */
static const struct find_case {
    const char *name;
    size_t used[8];
    size_t limit, count, alignment, wanted;
} find_cases[] = {
    {"all free", {0, 0}, BITS, 1, 1, 0},
    {"none free", {0, BITS}, BITS, 1, 1, FL_PAGEBITS_NONE},
    {"exactly all", {0, 0}, BITS, BITS, 1, 0},
    {"one more than all", {0, 0}, BITS, BITS + 1, 1, FL_PAGEBITS_NONE},
    {"first bit used", {0, 1}, BITS, 1, 1, 1},
    {"straddles a word", {0, 60, 70, BITS - 70}, BITS, 10, 1, 60},
    {"straddles a word by one too few", {0, 60, 69, BITS - 69}, BITS, 10, 1, FL_PAGEBITS_NONE},
    {"a whole word between", {0, 64, 128, BITS - 128}, BITS, 64, 1, 64},
    {"three words", {0, 10, 150, 1}, BITS, 140, 1, 10},
    {"last bit only", {0, BITS - 1}, BITS, 1, 1, BITS - 1},
    {"beyond the limit", {0, 100}, 100, 1, 1, FL_PAGEBITS_NONE},
    {"the limit cuts the run", {0, 96}, 100, 5, 1, FL_PAGEBITS_NONE},
    {"up to the limit", {0, 96}, 100, 4, 1, 96},
    {"aligned past a hole", {0, 3}, BITS, 4, 4, 4},
    {"aligned past an obstacle", {5, 1}, BITS, 8, 8, 8},
    {"lowest of two", {0, 2, 10, 4, 20, 2}, BITS, 6, 1, 2},
};

static void pagebits_find_cases(void) {
    for (size_t i = 0; i < sizeof find_cases / sizeof *find_cases; i++) {
        const struct find_case *it = &find_cases[i];
        uint64_t bits[WORDS] = {0};
        for (size_t k = 0; k + 1 < 8 && it->used[k + 1]; k += 2)
            fl_pagebits_set(bits, it->used[k], it->used[k + 1]);
        size_t got = fl_pagebits_find(bits, it->limit, it->count, it->alignment);
        if (got != it->wanted)
            fprintf(stderr, "case '%s'\n", it->name);
        CHECK_EQUAL(got, it->wanted);
    }
}

static uint64_t seed;

static void pagebits_random_against_model(void) {
    uint64_t random = seed;
    for (int round = 0; round < 3000; round++) {
        uint64_t bits[WORDS], before[WORDS];
        for (int w = 0; w < WORDS; w++) /* from sparse to dense */
            bits[w] = check_random(&random) & (round % 3 ? check_random(&random) : UINT64_MAX);
        memcpy(before, bits, sizeof bits);
        size_t first = check_random(&random) % BITS;
        size_t count = 1 + check_random(&random) % (BITS - first);
        size_t set = 0;
        for (size_t i = first; i < first + count; i++)
            set += bit(bits, i);
        CHECK_EQUAL(fl_pagebits_count(bits, first, count), set);
        size_t next_set = first, next_clear = first;
        while (next_set < first + count && !bit(bits, next_set))
            next_set++;
        while (next_clear < first + count && bit(bits, next_clear))
            next_clear++;
        CHECK_EQUAL(fl_pagebits_next_set(bits, first, first + count), next_set);
        CHECK_EQUAL(fl_pagebits_next_clear(bits, first, first + count), next_clear);
        size_t limit = check_random(&random) % (BITS + 1);
        size_t run = 1 + check_random(&random) % 20;
        size_t alignment = (size_t)1 << check_random(&random) % 5;
        CHECK_EQUAL(fl_pagebits_find(bits, limit, run, alignment), slow_find(bits, limit, run, alignment));
        bool to_set = round % 2;
        (to_set ? fl_pagebits_set : fl_pagebits_clear)(bits, first, count);
        for (size_t i = 0; i < BITS; i++)
            CHECK_EQUAL(bit(bits, i), i >= first && i < first + count ? to_set : bit(before, i));
    }
}

int main(int argc, char **argv) {
    seed = check_seed(argc, argv);
    RUN(pagebits_find_cases);
    RUN(pagebits_random_against_model);
    return 0;
}
