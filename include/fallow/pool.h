/* SPDX-License-Identifier: MIT */
/*
 * pool.h: memory with the lifetime of a request: allocated by moving a pointer, thrown away all at once.
 *
 *     chunk (newest)                     older chunks
 *     ┌────────┬───────────┬──────┐     ┌────────────┐   ┌────────────┐
 *     │ header │ allocated │ free │ ──▶ │            │──▶│            │
 *     └────────┴───────────┴──────┘     └────────────┘   └────────────┘
 *
 * Nothing in a pool is freed on its own. Use malloc or an arena for what outlives the request or grows and shrinks within it.
 * Chunks are of 16 KiB to begin with and twice as long each time, up to 256 KiB; what is larger than half of the next one
 * has a chunk of its own. (The idea is that of the pools of Apache's APR and of PostgreSQL's memory contexts.)
 *
 * Used and held: a pool in which 300 bytes were allocated has used 304 and holds 16,384.
 *
 * Under AddressSanitizer, and without being compiled for it, a pool poisons what is not allocated: behind each object, after
 * a reset, after a rewind, after its end.
 *
 * Threads: a pool, with its children, belongs to one thread at a time: the one that made it, or that called
 * fallow_pool_take_over. A checking build (-Dchecks=1) stops the process where another one uses it. fallow_pool_each alone
 * looks at pools of all threads.
 *
 * A pool that has ended (destroyed, or with its parent, its arena, or its arena's reset) stops the process with one line when it is used,
 * but by fallow_pool_alloc where there is room left in what it takes for its chunk: nothing is checked there. One that was destroyed
 * itself, and whose memory another pool of the same arena has, is told from that one in 31 of 32 cases.
 */
#ifndef FALLOW_POOL_H
#define FALLOW_POOL_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fallow_pool fallow_pool;

/* An empty pool; its memory counts in the arena (NULL: in the process's own). It ends with the arena at the latest, then
 * without its clean-ups being called. Costs 16 KiB of address space, and what is touched of it. NULL with errno ENOMEM. */
FALLOW_API fallow_pool *fallow_pool_create(fallow_arena *arena) FALLOW_MUST_USE;

/* An empty pool that ends with its parent at the latest: destroyed when the parent is reset, destroyed, or rewound to before
 * this call. What it holds counts in the parent's limit and figures. NULL with errno ENOMEM. */
FALLOW_API fallow_pool *fallow_pool_create_child(fallow_pool *parent) FALLOW_MUST_USE;

/* No chunk more if the pool and its children would hold more than so many bytes; 0: no limit. */
FALLOW_API void fallow_pool_set_limit(fallow_pool *pool, size_t bytes);

/* `bytes`, aligned to 16, not cleared, until the pool is reset, rewound or destroyed. NULL with errno ENOMEM: the limit, the
 * arena's, or the system's; nothing is lost by that. 0 bytes give an object of its own. */
FALLOW_API void *fallow_pool_alloc(fallow_pool *pool, size_t bytes) FALLOW_MUST_USE;

/* The same, all zero; aligned to a power of two (NULL with errno EINVAL if it is none). */
FALLOW_API void *fallow_pool_alloc_zeroed(fallow_pool *pool, size_t bytes) FALLOW_MUST_USE;
FALLOW_API void *fallow_pool_alloc_aligned(fallow_pool *pool, size_t alignment, size_t bytes) FALLOW_MUST_USE;

/* Copies of `bytes` bytes; of a string; of its first `bytes` bytes at most, with a zero behind them. NULL with errno ENOMEM. */
FALLOW_API void *fallow_pool_copy(fallow_pool *pool, const void *from, size_t bytes) FALLOW_MUST_USE;
FALLOW_API char *fallow_pool_strdup(fallow_pool *pool, const char *text) FALLOW_MUST_USE;
FALLOW_API char *fallow_pool_strndup(fallow_pool *pool, const char *text, size_t bytes) FALLOW_MUST_USE;

/* As sprintf, into a string of the length that it needs. NULL with errno ENOMEM, or that of vsnprintf. */
FALLOW_API char *fallow_pool_printf(fallow_pool *pool, const char *format, ...) FALLOW_MUST_USE
    __attribute__((format(printf, 2, 3)));
FALLOW_API char *fallow_pool_vprintf(fallow_pool *pool, const char *format, va_list arguments) FALLOW_MUST_USE
    __attribute__((format(printf, 2, 0)));

/*
 * Has `clean_up` called with `context` when the pool is reset, destroyed, or rewound to before this call: the last registered
 * first, each once, when the children made since are gone and all memory is still there. It may use the pool's memory; what
 * it makes in the pool goes with the rest. It may not reset, rewind or destroy the pool (one line, and SIGABRT). False with
 * errno ENOMEM: it will not be called.
 */
FALLOW_API bool fallow_pool_on_clean_up(fallow_pool *pool, void (*clean_up)(void *context),
                                        void *context) FALLOW_MUST_USE;

/* The newest of the pool's clean-ups with this call and context will not be called. False: it has none such. */
FALLOW_API bool fallow_pool_cancel_clean_up(fallow_pool *pool, void (*clean_up)(void *context),
                                            void *context);

/* The same, and it is another pool's from now on, as if it were registered there at this moment: for what outlives the request. False with
 * errno ENOENT: the first pool has none such; ENOMEM: it is where it was. */
FALLOW_API bool fallow_pool_move_clean_up(fallow_pool *from, fallow_pool *to, void (*clean_up)(void *context),
                                          void *context);

/* A moment in a pool's life. The fields are the pool's own. */
typedef struct fallow_pool_mark {
    const fallow_pool *pool;
    void *newest, *large, *next;
    uint64_t events;
    size_t used_before;
    size_t resets;
    size_t room[3]; /* for what a mark may have to know one day: it is passed by value, and so never grows */
} fallow_pool_mark;

FALLOW_API fallow_pool_mark fallow_pool_mark_here(const fallow_pool *pool);

/*
 * Everything that came after the mark is gone: objects, children, clean-ups (which are called), also what these make on the way, the
 * last first. What was there at the mark stays, whatever has happened since to children that were made before it. Marks taken since
 * are void; this one may be used again. A mark of another pool, one from before a reset, and a void one whose objects are gone stop
 * the process with one line.
 */
FALLOW_API void fallow_pool_rewind(fallow_pool *pool, fallow_pool_mark mark);

/* All that was allocated is gone. The first chunk and the newest, which is the longest, stay for what comes; the others go
 * back. */
FALLOW_API void fallow_pool_reset(fallow_pool *pool);

/* The pool, its children and all that was allocated in them are gone. NULL does nothing. */
FALLOW_API void fallow_pool_destroy(fallow_pool *pool);

/* The calling thread is the pool's from now on; the one before must be done with it. */
FALLOW_API void fallow_pool_take_over(fallow_pool *pool);

/* Bytes that allocations have taken, padding included, since the pool was made or reset, without those of its children. */
FALLOW_API size_t fallow_pool_used_bytes(const fallow_pool *pool);

/* Bytes of its chunks and of its children's: what it costs. */
FALLOW_API size_t fallow_pool_held_bytes(const fallow_pool *pool);

/* Figures of one pool: of a moment of the call, and exact where its thread does nothing meanwhile. */
typedef struct fallow_pool_figures {
    const fallow_pool *parent; /* NULL: it has none */
    size_t used_bytes;         /* as fallow_pool_used_bytes */
    size_t held_bytes;         /* as fallow_pool_held_bytes */
    size_t limit_bytes;        /* 0: none */
} fallow_pool_figures;

/*
 * Shows every pool of an arena (NULL: of the process's own), children too, the newest first; ends, and returns false, where `visit` returns false.
 * Any thread may call this and needs to hold nothing: others may make, use and end pools of the arena meanwhile, and do not wait. A pool that is
 * there all the while is shown once, one that is made meanwhile is not.
 *
 * Only the thread that a shown pool belongs to may use it, from inside `visit` too: it may make others, and reset or end any, this one as well. To
 * other threads `pool` is a name to compare, as the pool may end at any time. `figures` lives as long as the call. To reset or destroy
 * the arena from inside stops the process. `visit` has to return: no longjmp, no exception.
 */
typedef bool fallow_pool_visit(void *context, fallow_pool *pool, const fallow_pool_figures *figures);
FALLOW_API bool fallow_pool_each(fallow_arena *arena, fallow_pool_visit *visit, void *context);

#ifdef __cplusplus
}
#endif
#endif
