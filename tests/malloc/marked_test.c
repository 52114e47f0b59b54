/* SPDX-License-Identifier: MIT */
/*
 * Programs whose own words look like what the library writes into free blocks are as right as any: nothing
 * may stop them. Whatever stands in a block just freed, the program writes into its live ones, with the
 * address of another live block behind it, as a list of free blocks would have it; and others free, resize
 * and measure that one while the owner hands out blocks and fills them.
 */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "../lib/check.h"

#define BLOCKS 60
#define ROUNDS 12000
#define SECONDS_MAX 2

typedef struct node {
    uint64_t word;
    uintptr_t other;
    uint64_t rest[2];
} node;

typedef enum use { FREE, RESIZE, MEASURE } use;

static uint64_t words[2]; /* what stands in free blocks: the last of a list, and one before it */
static _Atomic(node *) box;
static atomic_bool over;
static use doing;

static void learn_words(void) {
    node *volatile first = malloc(sizeof *first), *volatile second = malloc(sizeof *second);
    CHECK(first && second);
    free(second);
    free(first);
    memcpy(&words[0], (void *)second, sizeof words[0]);
    memcpy(&words[1], (void *)first, sizeof words[1]);
}

static void use_it(node *block) {
    if (doing == MEASURE)
        CHECK(malloc_usable_size(block) >= sizeof *block);
    if (doing == RESIZE) {
        block = realloc(block, 3 * sizeof *block);
        CHECK(block && block->other == 1);
    }
    free(block);
}

static void *other(void *unused) {
    while (!atomic_load(&over)) {
        node *block = atomic_exchange(&box, NULL);
        if (block)
            use_it(block);
    }
    return unused;
}

static node *marked(uint64_t word, uintptr_t behind) {
    node *block = malloc(sizeof *block);
    CHECK(block);
    block->word = word;
    block->other = behind;
    return block;
}

static void one_round(uint64_t word, uint64_t words_of_many, int pause) {
    static node *nodes[BLOCKS];
    node *shared = marked(word, 1);
    uintptr_t behind = (uintptr_t)shared;
    for (int i = 0; i < BLOCKS; i++)
        nodes[i] = marked(0, 0);
    for (int i = 0; i < BLOCKS; i++)
        free(nodes[i]);
    atomic_store(&box, shared);
    for (volatile int i = 0; i < pause; i++)
        ;
    for (int i = 0; i < BLOCKS; i++)
        nodes[i] = marked(words_of_many, behind);
    while (atomic_load(&box))
        sched_yield();
    for (int i = 0; i < BLOCKS; i++)
        free(nodes[i]); /* with what looks like a mark */
}

static void beside(use what) {
    pthread_t thread;
    doing = what;
    atomic_store(&over, false);
    CHECK_EQUAL(pthread_create(&thread, NULL, other, NULL), 0);
    time_t end = time(NULL) + SECONDS_MAX; /* where others compete for the processors */
    for (int round = 0; round < ROUNDS && time(NULL) <= end; round++)
        one_round(words[round & 1], round & 2 ? words[round & 1] : 7, round & 127);
    atomic_store(&over, true);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

static void others_free_what_looks_free(void) {
    beside(FREE);
}

static void others_resize_what_looks_free(void) {
    beside(RESIZE);
}

static void others_measure_what_looks_free(void) {
    beside(MEASURE);
}

static void owners_use_what_looks_free(void) {
    static node *nodes[1000];
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 1000; i++)
            nodes[i] = marked(words[i & 1], i ? (uintptr_t)nodes[i - 1] : 0);
        for (int i = 0; i < 1000; i++) {
            CHECK(malloc_usable_size(nodes[i]) >= sizeof *nodes[i]);
            if (i % 3 == 0)
                CHECK((nodes[i] = realloc(nodes[i], 5 * sizeof *nodes[i])) != NULL);
        }
        for (int i = 0; i < 1000; i++)
            free(nodes[(i * 617) % 1000]);
    }
}

int main(void) {
    learn_words();
    RUN(owners_use_what_looks_free);
    RUN(others_free_what_looks_free);
    RUN(others_resize_what_looks_free);
    RUN(others_measure_what_looks_free);
    return 0;
}
