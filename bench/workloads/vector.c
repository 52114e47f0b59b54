/* SPDX-License-Identifier: MIT */
/*
 * vector.c: arrays that grow by realloc, by half each time, several at once, to a last size; then all go.
 *
 * Keys: last=1m (bytes) vectors=16 (growing in turn) rounds=20
 */
#include "workload.h"

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t last = argument("last", 1 << 20), vectors = argument("vectors", 16),
           rounds = argument("rounds", 20);
    size_t operations = 0;
    char **all = calloc(vectors, sizeof *all);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t bytes = 16, before = 0; before < last; before = bytes, bytes += bytes / 2)
            for (size_t i = 0; i < vectors; i++) {
                char *grown = realloc(all[i], bytes);
                if (!grown)
                    fail("out of memory");
                if (before && grown[before - 1] != (char)before)
                    fail("contents lost by realloc");
                memset(grown + before, (int)i, bytes - before);
                grown[bytes - 1] = (char)bytes;
                all[i] = grown;
                operations++;
            }
        for (size_t i = 0; i < vectors; i++) {
            free(all[i]);
            all[i] = NULL;
        }
    }
    free(all);
    return finish(operations, 0);
}
