/* SPDX-License-Identifier: MIT */
/*
 * teardown.c: a live heap of so many bytes is built and then freed in random order, again and again: frees
 * that find nothing in the cache, as at the end of a request, of a document, of a compilation unit.
 *
 * Keys: live=32m (bytes) min=16 max=512 rounds=10
 */
#include "workload.h"

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    uint64_t random = argument("seed", 1);
    size_t live = argument("live", 32 << 20), min = argument("min", 16), max = argument("max", 512);
    size_t rounds = argument("rounds", 10), room = live / min + 1, operations = 0;
    char **blocks = malloc(room * sizeof *blocks);
    for (size_t round = 0; round < rounds; round++) {
        size_t count = 0;
        for (size_t total = 0; total < live && count < room; count++) {
            size_t bytes = log_uniform(&random, min, max);
            blocks[count] = take(bytes);
            total += bytes;
        }
        operations += count;
        for (size_t i = count; i > 1; i--) {
            size_t j = random_below(&random, i);
            char *other = blocks[i - 1];
            blocks[i - 1] = blocks[j];
            blocks[j] = other;
        }
        for (size_t i = 0; i < count; i++)
            drop(blocks[i]);
    }
    free(blocks);
    return finish(operations, live);
}
