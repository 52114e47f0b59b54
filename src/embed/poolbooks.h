/* SPDX-License-Identifier: MIT */
/*
 * poolbooks.h: what a pool has, and what stands at the head of its chunks. For pool.c, and for poollist.c, which looks at it; a pool is
 * changed nowhere else but in its place in the arena's list.
 */
#ifndef FL_POOLBOOKS_H
#define FL_POOLBOOKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fallow/pool.h"

typedef struct chunk {
    struct chunk *older;
    size_t pages;
    const fallow_pool *pool; /* that lies in it, and lives; else NULL */
    uint64_t contents;       /* of the arena, when that was made */
} chunk;

typedef struct clean_up {
    struct clean_up *earlier;
    uint64_t event;
    void (*call)(void *context);
    void *context;
} clean_up;

/* A pool's place in the list of its arena (poollist.h), or that of a visit: behind the pool that it has shown, so that this one may end, and the
 * visit goes on. */
typedef struct fl_pool_link {
    struct fl_pool_link *older;
    struct fl_pool_link *newer;
    uintptr_t visitor; /* the thread; 0: it is a pool's */
} fl_pool_link;

struct fallow_pool {
    char *next;     /* the first free byte of the newest chunk */
    char *fast_end; /* its end; under AddressSanitizer the same as next: each object takes the slow path */
    char *end;
    char *from;         /* the newest chunk's first byte for objects */
    size_t used_before; /* in other chunks than the newest */
    chunk *newest;
    chunk *large; /* chunks of one object each, newest first */
    chunk *spare; /* kept by a reset for when the first one is full; or NULL */
    clean_up *clean_ups;
    fallow_pool *children; /* newest first, through next_sibling */
    fallow_pool *next_sibling;
    fallow_pool *previous_sibling;
    fallow_pool *parent;
    fallow_arena *arena;
    uint64_t events;     /* so many children and clean-ups it has been given; each knows which it was */
    uint64_t event;      /* of the parent */
    uint64_t void_after; /* marks of events after this one, up to the next, are void: by the last rewind */
    uint64_t void_until;
    size_t resets;
    bool undoes;       /* calls clean-ups, and ends children */
    size_t held_pages; /* with the children's */
    size_t limit_pages;
    pthread_t owner;
    fl_pool_link in_arena;
};

#endif
