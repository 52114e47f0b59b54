/* SPDX-License-Identifier: MIT */
/*
 * containers.c: a map and a list with a million nodes each and a malloc for every node, like
 * std::unordered_map and std::list in libstdc++ (nodes of 32 and 24 bytes). The program fills both in turn,
 * erases most of the map in random order, removes every third node of the list, and fills the map again. Sums
 * must match what was put in.
 *
 * Keys: nodes=1m rounds=1
 */
#include "workload.h"

typedef struct pair {
    struct pair *next;
    size_t hash, key, value;
} pair;

typedef struct link {
    struct link *next, *before;
    size_t value;
} link_;

static pair **buckets;
static size_t room, map_sum, list_sum;

static void insert(size_t key) {
    pair *it = malloc(sizeof *it);
    if (!it)
        fail("out of memory");
    size_t hash = key * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    *it = (pair){buckets[hash % room], hash, key, ~key};
    buckets[hash % room] = it;
    map_sum += ~key;
}

/* The key need not be there. */
static void erase(size_t key) {
    size_t hash = key * UINT64_C(0x9e3779b97f4a7c15) >> 20;
    pair **at = &buckets[hash % room], *it;
    while ((it = *at) && it->key != key)
        at = &it->next;
    if (!it)
        return;
    if (it->value != ~key || it->hash != hash)
        fail("a node of the map is not what was written");
    *at = it->next;
    map_sum -= ~key;
    free(it);
}

static void clear_map(void) {
    for (size_t i = 0; i < room; i++)
        while (buckets[i])
            erase(buckets[i]->key);
    if (map_sum)
        fail("the map's sum is not what was put there");
}

static link_ *pushed(link_ *last, size_t value) {
    link_ *it = malloc(sizeof *it);
    if (!it)
        fail("out of memory");
    *it = (link_){NULL, last, value};
    if (last)
        last->next = it;
    list_sum += value;
    return it;
}

/* Frees each keep-th node from the end on, and returns the last that is left. */
static link_ *thinned(link_ *last, size_t keep) {
    size_t n = 0, sum = 0;
    for (link_ *it = last, *before; it; it = before) {
        before = it->before;
        sum += it->value;
        if (n++ % keep)
            continue;
        *(it->next ? &it->next->before : &last) = before;
        if (before)
            before->next = it->next;
        list_sum -= it->value;
        sum -= it->value;
        free(it);
    }
    if (sum != list_sum)
        fail("the list's sum is not what was put there");
    return last;
}

int main(int argc, char **argv) {
    (void)argc;
    begin(argv);
    uint64_t random = argument("seed", 1);
    size_t nodes = argument("nodes", 1 << 20), rounds = argument("rounds", 1);
    room = nodes;
    buckets = calloc(room, sizeof *buckets);
    if (!buckets)
        fail("out of memory");
    for (size_t round = 0; round < rounds; round++) {
        link_ *list = NULL;
        for (size_t i = 0; i < nodes; i++) {
            insert(i);
            list = pushed(list, next_random(&random));
        }
        for (size_t i = 0; i < nodes; i++)
            erase(random_below(&random, nodes));
        list = thinned(list, 3);
        for (size_t i = 0; i < nodes / 2; i++)
            insert(nodes + i);
        clear_map();
        thinned(list, 1);
    }
    free(buckets);
    return finish(rounds * nodes * 4, 0);
}
