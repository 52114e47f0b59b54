/* SPDX-License-Identifier: MIT */
/*
 * poolbooks.h: what a pool has, and what stands at the head of its chunks. For pool.c, and for poollist.c,
 * which only looks at it, and changes a pool's place in the arena's list.
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
    const fallow_pool *pool; /* the pool that lives in it; else NULL */
    uint64_t contents;       /* of the arena, when this pool was made */
} chunk;

typedef struct clean_up {
    struct clean_up *earlier;
    uint64_t event;
    void (*call)(void *context);
    void *context;
} clean_up;

/* A pool's place in its arena's list (poollist.h), or a visit's: behind the pool that it has shown, so that
 * this pool may end, and the visit goes on. */
typedef struct fl_pool_link {
    struct fl_pool_link *older;
    struct fl_pool_link *newer;
    uintptr_t visitor; /* its thread; 0: this is a pool's */
} fl_pool_link;

struct fallow_pool {
    char *next;     /* the first free byte of the newest chunk */
    char *fast_end; /* its end; under AddressSanitizer the same as next: each object takes the slow path */
    char *end;
    char *from;         /* the newest chunk's first byte for objects */
    size_t used_before; /* in chunks other than the newest */
    chunk *newest;
    chunk *large; /* chunks of one object each, newest first */
    chunk *spare; /* kept by a reset for when the first chunk is full; or NULL */
    clean_up *clean_ups;
    fallow_pool *children; /* newest first, linked by next_sibling */
    fallow_pool *next_sibling;
    fallow_pool *previous_sibling;
    fallow_pool *parent;
    fallow_arena *arena;
    uint64_t events;     /* how many children and clean-ups it has been given; each knows its number */
    uint64_t event;      /* its number in the parent */
    uint64_t void_after; /* the last rewind has made void marks of events after this, up to the next */
    uint64_t void_until;
    size_t resets;
    bool undoes;       /* is calling clean-ups and ending children */
    size_t held_pages; /* with its children's */
    size_t limit_pages;
    pthread_t owner;
    fl_pool_link in_arena;
};

#endif
