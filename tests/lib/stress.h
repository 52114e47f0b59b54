/* SPDX-License-Identifier: MIT */
/*
 * stress.h: threads that allocate, hand blocks to each other, free each other's and end, with every block's
 * contents checked. What allocates is passed in: malloc, or an arena.
 */
#ifndef STRESS_H
#define STRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "check.h"

typedef struct stress_allocator {
    void *(*alloc)(void *context, size_t bytes);
    void (*free)(void *context, void *block);
    void *context;
} stress_allocator;

typedef struct stress_plan {
    stress_allocator allocator;
    uint64_t seed;
    unsigned threads;     /* at a time */
    unsigned generations; /* of threads, one after the other */
    unsigned steps;       /* of each thread */
    size_t large_bytes_max;
    unsigned live; /* blocks that a thread holds at most, up to STRESS_LIVE_MAX */
    size_t
        narrow_bytes; /* not 0: all blocks are of half to all of this, so that few classes fill many slabs */
} stress_plan;

#define STRESS_LIVE_MAX 4096

/* A block says how long it is and is filled with a pattern of its own. */
typedef struct stress_block {
    size_t bytes;
    uint64_t pattern;
} stress_block;

#define STRESS_SLOTS 512

/* Where threads leave blocks for each other. */
static _Atomic(stress_block *) stress_exchange[STRESS_SLOTS];

static inline void stress_fill(stress_block *block, size_t bytes, uint64_t pattern) {
    block->bytes = bytes;
    block->pattern = pattern;
    memset(block + 1, (int)(pattern & 0xff), bytes - sizeof *block);
}

static inline void stress_verify(const stress_block *block) {
    const unsigned char *byte = (const unsigned char *)(block + 1);
    size_t bytes = block->bytes - sizeof *block;
    unsigned char wanted = (unsigned char)(block->pattern & 0xff);
    /* First, last and a sample between: all of a large block would take the time of many. */
    size_t step = bytes > 512 ? bytes / 61 : 1;
    for (size_t i = 0; i < bytes; i += step)
        CHECK_EQUAL(byte[i], wanted);
    if (bytes)
        CHECK_EQUAL(byte[bytes - 1], wanted);
}

/* Mostly small, log-uniform; now and then large. */
static inline size_t stress_size(const stress_plan *plan, uint64_t *random) {
    uint64_t r = check_random(random);
    if (plan->large_bytes_max && r % 1000 == 0)
        return sizeof(stress_block) + check_random(random) % plan->large_bytes_max;
    if (plan->narrow_bytes)
        return plan->narrow_bytes / 2 + (size_t)(r >> 32) % (plan->narrow_bytes / 2);
    unsigned bits = 3 + (unsigned)(r >> 32) % 11;
    return sizeof(stress_block) + (size_t)((r >> 40) & (((uint64_t)1 << bits) - 1));
}

static inline stress_block *stress_new(const stress_plan *plan, uint64_t *random) {
    size_t bytes = stress_size(plan, random);
    stress_block *block = plan->allocator.alloc(plan->allocator.context, bytes);
    CHECK(block);
    CHECK_EQUAL((uintptr_t)block % 16, 0);
    stress_fill(block, bytes, check_random(random));
    return block;
}

static inline void stress_end(const stress_plan *plan, stress_block *block) {
    if (!block)
        return;
    stress_verify(block);
    block->pattern++; /* whoever gets it twice finds out */
    plan->allocator.free(plan->allocator.context, block);
}

typedef struct stress_thread {
    const stress_plan *plan;
    uint64_t seed;
} stress_thread;

static inline void *stress_body(void *argument) {
    stress_thread *self = (stress_thread *)argument;
    const stress_plan *plan = self->plan;
    uint64_t random = self->seed;
    stress_block *own[STRESS_LIVE_MAX] = {NULL};
    for (unsigned step = 0; step < plan->steps; step++) {
        uint64_t r = check_random(&random);
        stress_block **mine = &own[(r >> 8) % plan->live];
        if (r % 4 == 0) {
            /* Hand one over, and free what lay there: mostly another thread's. */
            stress_block *given = *mine ? *mine : stress_new(plan, &random);
            *mine = NULL;
            stress_end(plan, atomic_exchange(&stress_exchange[(r >> 20) % STRESS_SLOTS], given));
        } else {
            stress_end(plan, *mine);
            *mine = r % 8 == 1 ? NULL : stress_new(plan, &random);
        }
    }
    /* A third stays behind for others to free after this thread has ended. */
    for (unsigned i = 0; i < plan->live; i++) {
        if (own[i] && i % 3 == 0)
            own[i] = atomic_exchange(&stress_exchange[check_random(&random) % STRESS_SLOTS], own[i]);
        stress_end(plan, own[i]);
    }
    return NULL;
}

static inline void stress_run(const stress_plan *plan) {
    enum { THREADS_MAX = 64 };
    pthread_t threads[THREADS_MAX];
    stress_thread selves[THREADS_MAX];
    uint64_t random = plan->seed;
    CHECK(plan->threads <= THREADS_MAX && plan->live <= STRESS_LIVE_MAX);
    for (unsigned generation = 0; generation < plan->generations; generation++) {
        for (unsigned i = 0; i < plan->threads; i++) {
            selves[i].plan = plan;
            selves[i].seed = check_random(&random);
            CHECK_EQUAL(pthread_create(&threads[i], NULL, stress_body, &selves[i]), 0);
        }
        for (unsigned i = 0; i < plan->threads; i++)
            CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < STRESS_SLOTS; i++)
        stress_end(plan, atomic_exchange(&stress_exchange[i], NULL));
}

#endif
