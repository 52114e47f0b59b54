/* SPDX-License-Identifier: MIT */
/*
 * pool.c: bump allocation in chunks of whole pages. The pool itself lies in its oldest chunk.
 */
#include "fallow/pool.h"

#include <errno.h>
#include <stdint.h>

#include "../arena/grant.h"
#include "thread.h"

typedef struct chunk {
    struct chunk *older;
    size_t pages;
} chunk;

struct fallow_pool {
    char *next; /* the first free byte of the newest chunk */
    char *end;
    chunk *newest;
    fallow_arena *arena;
    size_t used_bytes;
};

#define ALIGNMENT ((size_t)16)
#define CHUNK_HEADER_BYTES ((sizeof(chunk) + ALIGNMENT - 1) & ~(ALIGNMENT - 1))
#define POOL_HEADER_BYTES ((sizeof(fallow_pool) + ALIGNMENT - 1) & ~(ALIGNMENT - 1))

static chunk *chunk_new(fallow_arena *arena, size_t bytes) {
    bool zeroed;
    size_t pages = fl_pages_for(bytes + CHUNK_HEADER_BYTES);
    chunk *made = (chunk *)fl_grant(&arena->pages, pages, 1, &zeroed);
    if (made)
        made->pages = pages;
    return made;
}

static void chunk_free(fallow_arena *arena, chunk *it) {
    fl_pages_return(&arena->pages, (char *)it, it->pages);
}

static void start_in(fallow_pool *pool, chunk *it, size_t skip_bytes) {
    pool->newest = it;
    pool->next = (char *)it + CHUNK_HEADER_BYTES + skip_bytes;
    pool->end = (char *)it + (it->pages << FL_PAGE_SHIFT);
}

fallow_pool *fallow_pool_create(fallow_arena *arena) {
    chunk *first = NULL;
    if (fl_process_init()) {
        fl_fork_register();
        arena = arena ? arena : fl_process_arena;
        first = chunk_new(arena, POOL_HEADER_BYTES);
    }
    if (!first) {
        errno = ENOMEM;
        return NULL;
    }
    first->older = NULL;
    fallow_pool *pool = (fallow_pool *)((char *)first + CHUNK_HEADER_BYTES);
    pool->arena = arena;
    pool->used_bytes = 0;
    start_in(pool, first, POOL_HEADER_BYTES);
    return pool;
}

static void *alloc_in_new_chunk(fallow_pool *pool, size_t bytes) {
    chunk *made = bytes <= PTRDIFF_MAX ? chunk_new(pool->arena, bytes) : NULL;
    if (!made) {
        errno = ENOMEM;
        return NULL;
    }
    pool->used_bytes += bytes;
    /* A chunk for one big object is full at once: the one in use stays the newest. */
    if (bytes > FL_PAGE_BYTES / 2) {
        made->older = pool->newest->older;
        pool->newest->older = made;
        return (char *)made + CHUNK_HEADER_BYTES;
    }
    made->older = pool->newest;
    start_in(pool, made, bytes);
    return (char *)made + CHUNK_HEADER_BYTES;
}

void *fallow_pool_alloc(fallow_pool *pool, size_t bytes) {
    size_t rounded = bytes ? (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1) : ALIGNMENT;
    if (rounded < bytes || rounded > (size_t)(pool->end - pool->next))
        return alloc_in_new_chunk(pool, rounded < bytes ? SIZE_MAX : rounded);
    void *object = pool->next;
    pool->next += rounded;
    pool->used_bytes += rounded;
    return object;
}

static bool holds_pool(const fallow_pool *pool, const chunk *it) {
    return (const char *)pool == (const char *)it + CHUNK_HEADER_BYTES;
}

void fallow_pool_reset(fallow_pool *pool) {
    chunk *keep = NULL;
    for (chunk *it = pool->newest, *older; it; it = older) {
        older = it->older;
        if (holds_pool(pool, it))
            keep = it;
        else
            chunk_free(pool->arena, it);
    }
    keep->older = NULL;
    start_in(pool, keep, POOL_HEADER_BYTES);
    pool->used_bytes = 0;
}

void fallow_pool_destroy(fallow_pool *pool) {
    if (!pool)
        return;
    fallow_arena *arena = pool->arena;
    for (chunk *it = pool->newest, *older; it; it = older) {
        older = it->older;
        chunk_free(arena, it); /* the pool goes with one of them: from there on only the chain is read */
    }
}

size_t fallow_pool_used_bytes(const fallow_pool *pool) {
    return pool->used_bytes;
}
