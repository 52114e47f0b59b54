/* SPDX-License-Identifier: MIT */
/*
 * sparse.c: large tables come from calloc, and the program touches little of them. Hash tables, sieves and
 * matrices rely on this, numpy.zeros by its documentation: memory costs nothing until it is written. Tables
 * come and go among smaller blocks. Memory that was used before must be zero again; an allocator that clears
 * tables by hand, or keeps them resident, shows it in time and peak.
 *
 * Keys: tables=32 (live at a time) min=256k max=16m rounds=6000 touched=1 (% of the pages of a table)
 */
#include "workload.h"

typedef struct sparse {
    char *bytes;
    size_t length;
} sparse;

static size_t touched;

/* The same places again for the same table. */
static void each_touched(sparse *it, char was, char is) {
    uint64_t random = it->length;
    for (size_t n = it->length / 4096 * touched / 100 + 1; n--;) {
        size_t page = random_below(&random, it->length / 4096), at = page * 4096 + page % 4096;
        if (it->bytes[at] != was && it->bytes[at] != is) /* a place may come twice */
            fail(was ? "a table's contents are not what was written" : "what calloc gave is not zero");
        it->bytes[at] = is;
    }
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    uint64_t random = argument("seed", 1);
    size_t tables = argument("tables", 32), rounds = argument("rounds", 6000),
           min = argument("min", 256 << 10), max = argument("max", 16 << 20);
    sparse *all = calloc(tables, sizeof *all);
    char **small = calloc(tables, sizeof *small);
    if (!all || !small)
        fail("out of memory");
    touched = argument("touched", 1);
    for (size_t round = 0; round < rounds + tables; round++) {
        size_t k = round < rounds ? random_below(&random, tables) : round - rounds;
        if (all[k].bytes) {
            each_touched(&all[k], 'x', 'x');
            free(all[k].bytes);
        }
        drop(small[k]);
        all[k].bytes = NULL;
        small[k] = NULL;
        if (round >= rounds)
            continue;
        small[k] = take(log_uniform(&random, 1024, 128 << 10));
        all[k].length = log_uniform(&random, min, max);
        all[k].bytes = calloc(all[k].length / 64, 64);
        if (!all[k].bytes)
            fail("out of memory");
        each_touched(&all[k], 0, 'x');
    }
    free(all);
    free(small);
    return finish(rounds, 0);
}
