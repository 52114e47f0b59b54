/* SPDX-License-Identifier: MIT */
/*
 * fragment.c: adversaries of fragmentation. robson: sizes double from step to step, and of each size only so
 * many blocks live on that holes are too small for the next (after J. M. Robson, "Bounds for some functions
 * concerning dynamic storage allocation", JACM 1974). other: every other block is freed and blocks of twice
 * the size are requested.
 *
 * Keys: robson=1 live=64m (bytes) max=16384
 */
#include "workload.h"

static char **blocks;
static size_t count, room, operations;

static void add(size_t bytes) {
    if (count == room)
        fail("more blocks than planned");
    blocks[count++] = take(bytes);
    operations++;
}

/* Keeps every keep-th block. */
static size_t thin_out(size_t keep) {
    size_t kept = 0, bytes = 0;
    for (size_t i = 0; i < count; i++)
        if (i % keep) {
            drop(blocks[i]);
            operations++;
        } else {
            bytes += verified(blocks[i]);
            blocks[kept++] = blocks[i];
        }
    count = kept;
    return bytes;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t live = argument("live", 64 << 20), max = argument("max", 16384), bytes = 16, left = 0;
    room = live / 16;
    blocks = malloc(room * sizeof *blocks);
    for (; bytes <= max; bytes *= 2) {
        for (size_t total = left; total + bytes <= live && count < room; total += bytes)
            add(bytes);
        left = thin_out(argument("robson", 1) ? 3 : 2);
    }
    while (count)
        drop(blocks[--count]);
    free(blocks);
    return finish(operations, left);
}
