/* SPDX-License-Identifier: MIT */
/*
 * strings.c: thousands of strings grow at the same time, a few bytes at a time, as replies and log lines do.
 * They grow by realloc to twice what they need, like the strings of Redis (sds.c). A string that has reached
 * its length is cut to it, checked byte by byte and replaced by a new one.
 *
 * Keys: threads=2 strings=4000 (a thread) appends=1500000 (a thread) last=16k (the longest)
 */
#include "workload.h"

typedef struct growing {
    char *bytes;
    size_t length, room, last;
} growing;

static size_t strings, appends, last;

static void finish_string(growing *it, size_t k) {
    char *cut = realloc(it->bytes, it->length + 1);
    if (!cut)
        fail("out of memory");
    for (size_t i = 0; i < it->length; i++)
        if (cut[i] != (char)(k + i))
            fail("a string is not what was written");
    free(cut);
    it->bytes = NULL;
}

static void grow(growing *it, size_t k, size_t bytes) {
    if (it->length + bytes + 1 > it->room) {
        it->room = 2 * (it->length + bytes + 1);
        it->bytes = realloc(it->bytes, it->room);
        if (!it->bytes)
            fail("out of memory");
    }
    for (size_t end = it->length + bytes; it->length < end; it->length++)
        it->bytes[it->length] = (char)(k + it->length);
}

static void *body(void *index) {
    uint64_t random = argument("seed", 1) + (size_t)index;
    growing *all = calloc(strings, sizeof *all);
    if (!all)
        fail("out of memory");
    for (size_t i = 0; i < appends; i++) {
        size_t k = random_below(&random, strings);
        if (!all[k].bytes)
            all[k] = (growing){NULL, 0, 0, log_uniform(&random, 64, last)};
        grow(&all[k], k, 1 + random_below(&random, 64));
        if (all[k].length >= all[k].last)
            finish_string(&all[k], k);
    }
    for (size_t k = 0; k < strings; k++)
        if (all[k].bytes)
            finish_string(&all[k], k);
    free(all);
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 2);
    strings = argument("strings", 4000);
    appends = argument("appends", 1500000);
    last = argument("last", 16384);
    run_threads(threads, body);
    return finish(threads * appends, 0);
}
