/* SPDX-License-Identifier: MIT */
/* Does one operation so many times; two runs under callgrind differ by what it costs. See instructions_test.sh. */
#include <stdlib.h>

static void *volatile sink;

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    /* A digit, so that choosing costs the same for all: 0 nothing, 1 malloc and free, 2 calloc and free, 3 realloc. */
    int operation = atoi(argv[1]);
    long n = atol(argv[2]);
    char *grown = malloc(64);
    for (long i = 0; i < 100; i++) /* warm */
        free(sink = malloc(64));
    if (operation == 1)
        for (long i = 0; i < n; i++)
            free(sink = malloc(64));
    if (operation == 2)
        for (long i = 0; i < n; i++)
            free(sink = calloc(1, 64));
    if (operation == 3)
        for (long i = 0; i < n; i++)
            sink = grown = realloc(grown, 50 + (size_t)i % 8);
    free(grown);
    return 0;
}
