/* SPDX-License-Identifier: MIT */
/*
 * valuecache.c: a cache of keys and values under least recently used, whose values change in size from epoch
 * to epoch, as those of a key-value server do when what is stored in it changes. Bounded by bytes, so the
 * number of entries follows.
 *
 * Keys: bytes=64m (of keys and values) ops=1000000 epochs=4
 */
#include "workload.h"

typedef struct entry {
    struct entry *newer, *older, *next;
    char *value;
    size_t key, bytes;
} entry;

#define BUCKETS 65536
static entry *buckets[BUCKETS], *newest, *oldest;
static size_t total;

static void unlink_entry(entry *it) {
    *(it->newer ? &it->newer->older : &newest) = it->older;
    *(it->older ? &it->older->newer : &oldest) = it->newer;
}

static void link_newest(entry *it) {
    it->newer = NULL;
    it->older = newest;
    *(newest ? &newest->newer : &oldest) = it;
    newest = it;
}

static void evict_oldest(void) {
    entry *it = oldest, **link = &buckets[it->key % BUCKETS];
    while (*link != it)
        link = &(*link)->next;
    *link = it->next;
    unlink_entry(it);
    total -= it->bytes + sizeof *it;
    drop(it->value);
    free(it);
}

static void set(size_t key, size_t bytes) {
    entry *it = buckets[key % BUCKETS];
    while (it && it->key != key)
        it = it->next;
    if (it) {
        unlink_entry(it);
        total -= it->bytes;
        drop(it->value);
    } else {
        it = malloc(sizeof *it);
        if (!it)
            fail("out of memory");
        *it = (entry){.key = key, .next = buckets[key % BUCKETS]};
        buckets[key % BUCKETS] = it;
        total += sizeof *it;
    }
    it->value = take(bytes);
    it->bytes = bytes;
    total += bytes;
    link_newest(it);
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    static const size_t means[] = {60, 700, 150, 3000};
    uint64_t random = argument("seed", 1);
    size_t limit = argument("bytes", 64 << 20), ops = argument("ops", 1000000),
           epochs = argument("epochs", 4);
    for (size_t epoch = 0; epoch < epochs; epoch++)
        for (size_t i = 0; i < ops; i++) {
            size_t mean = means[epoch % 4];
            set(random_below(&random, 1000000), mean / 2 + random_below(&random, mean));
            while (total > limit)
                evict_oldest();
        }
    size_t live = total;
    while (oldest)
        evict_oldest();
    return finish(epochs * ops, live);
}
