/* SPDX-License-Identifier: MIT */
/*
 * pool.h: memory with the lifetime of a request: allocated by moving a pointer, thrown away all at once.
 *
 *     chunk (newest)                     older chunks
 *     ┌────────┬───────────┬──────┐     ┌────────────┐   ┌────────────┐
 *     │ header │ allocated │ free │ ──▶ │            │──▶│            │
 *     └────────┴───────────┴──────┘     └────────────┘   └────────────┘
 *
 * Nothing in a pool is freed on its own. Use malloc or an arena for what outlives the request or grows and
 * shrinks within it. (The idea is that of the pools of Apache's APR and of PostgreSQL's memory contexts.)
 *
 * Threads: a pool belongs to one thread at a time.
 */
#ifndef FALLOW_POOL_H
#define FALLOW_POOL_H

#include <stddef.h>

#include "arena.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fallow_pool fallow_pool;

/* An empty pool; its memory counts in the arena (NULL: in the process's own). The pool must end before the
 * arena does. Costs 16 KiB of address space, and what is touched of it. NULL with errno ENOMEM. */
FALLOW_API fallow_pool *fallow_pool_create(fallow_arena *arena) FALLOW_MUST_USE;

/* `bytes`, aligned to 16, not cleared, until the pool is reset or destroyed. NULL with errno ENOMEM. */
FALLOW_API void *fallow_pool_alloc(fallow_pool *pool, size_t bytes) FALLOW_MUST_USE;

/* All that was allocated is gone. One chunk stays Ready for what comes, the others go back. */
FALLOW_API void fallow_pool_reset(fallow_pool *pool);

/* The pool and all that was allocated in it are gone. NULL does nothing. */
FALLOW_API void fallow_pool_destroy(fallow_pool *pool);

/* Bytes that allocations have taken, padding included, since the pool was made or reset. */
FALLOW_API size_t fallow_pool_used_bytes(const fallow_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
