/* SPDX-License-Identifier: MIT */
/*
 * webcache.c: an LRU cache of web objects, in shards with a lock each that all threads use. Sizes are
 * log-normal, with the parameters measured on web servers, and popularity follows Zipf's law (P. Barford and
 * M. Crovella, "Generating representative web workloads for network and server performance evaluation",
 * SIGMETRICS 1998). The cache is bounded by bytes: a miss allocates, and evicts what another thread may have
 * allocated.
 *
 * Keys: threads=2 ops=150000 (a thread) bytes=64m keys=100000 scale=8 (sizes are those of the paper divided
 * by it)
 */
#include <math.h>

#include "workload.h"

#define SHARDS 16
#define BUCKETS 4096

typedef struct object {
    struct object *newer, *older, *next;
    char *value;
    size_t key;
} object;

typedef struct shard {
    pthread_mutex_t lock;
    object *buckets[BUCKETS], *newest, *oldest;
    size_t bytes;
} shard;

static shard shards[SHARDS];
static size_t ops, keys, scale, limit;

/* exp of a normal variable, which is the sum of twelve even ones. */
static size_t log_normal(uint64_t *random, double mu, double sigma) {
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += (double)(next_random(random) >> 11) * 0x1p-53;
    return (size_t)exp(mu + sigma * sum);
}

static object **place(shard *it, size_t key) {
    object **link = &it->buckets[key / SHARDS % BUCKETS];
    while (*link && (*link)->key != key)
        link = &(*link)->next;
    return link;
}

static void detach(shard *it, object *entry) {
    *(entry->newer ? &entry->newer->older : &it->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &it->oldest) = entry->newer;
}

static void attach(shard *it, object *entry) {
    entry->newer = NULL;
    entry->older = it->newest;
    *(it->newest ? &it->newest->newer : &it->oldest) = entry;
    it->newest = entry;
}

static void evict(shard *it) {
    object *entry = it->oldest;
    *place(it, entry->key) = entry->next;
    detach(it, entry);
    it->bytes -= verified(entry->value);
    free(entry->value);
    free(entry);
}

static void get(size_t key, uint64_t *random) {
    shard *it = &shards[key % SHARDS];
    pthread_mutex_lock(&it->lock);
    object *entry = *place(it, key);
    if (entry) {
        verified(entry->value);
        detach(it, entry);
    } else {
        entry = malloc(sizeof *entry);
        if (!entry)
            fail("out of memory");
        *entry = (object){.key = key, .value = take(log_normal(random, 9.357, 1.318) / scale)};
        it->bytes += verified(entry->value);
        object **link = place(it, key);
        *link = entry;
    }
    attach(it, entry);
    while (it->bytes > limit / SHARDS)
        evict(it);
    pthread_mutex_unlock(&it->lock);
}

static void *serve(void *index) {
    uint64_t random = argument("seed", 1) + (size_t)index;
    for (size_t i = 0; i < ops; i++)
        get(log_uniform(&random, 1, keys), &random);
    return NULL;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    size_t threads = argument("threads", 2), live = 0;
    ops = argument("ops", 150000);
    keys = argument("keys", 100000);
    limit = argument("bytes", 64 << 20);
    scale = argument("scale", 8);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&shards[i].lock, NULL);
    run_threads(threads, serve);
    for (size_t i = 0; i < SHARDS; i++) {
        live += shards[i].bytes;
        while (shards[i].oldest)
            evict(&shards[i]);
    }
    return finish(threads * ops, live);
}
