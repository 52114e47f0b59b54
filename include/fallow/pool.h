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
 * shrinks within it. The first chunk is 16 KiB, each later one twice as long, up to 256 KiB; an object larger
 * than half of the next one has a chunk of its own. (The idea is that of the pools of Apache's APR and of
 * PostgreSQL's memory contexts.)
 *
 * Used and held: a pool in which 300 bytes were allocated has used 304 and holds 16,384.
 *
 * Under AddressSanitizer, without having to be compiled for it, a pool poisons what is not allocated: behind
 * each object, after a reset, after a rewind, after its end.
 *
 * Threads: a pool, with its children, belongs to one thread at a time: the one that made it, or that called
 * fallow_pool_take_over. A checking build (-Dchecks=1) stops the process where another thread uses it. Only
 * fallow_pool_each looks at pools of all threads.
 *
 * Using a pool that has ended (destroyed, or with its parent, its arena, or its arena's reset) stops the
 * process with one line, except in fallow_pool_alloc where what it takes for its chunk has room left: nothing
 * is checked there. If the pool was destroyed itself and another pool of the same arena has its memory,
 * fallow tells the two apart in 31 of 32 cases.
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

/* Makes an empty pool; its memory counts in the arena (NULL: in the process's own). It ends with the arena at
 * the latest, then without a call of its clean-ups. Costs 16 KiB of address space, and the memory of what is
 * touched there. Returns NULL with errno ENOMEM. */
FALLOW_API fallow_pool *fallow_pool_create(fallow_arena *arena) FALLOW_MUST_USE;

/* Makes an empty pool that ends with its parent at the latest: it is destroyed when the parent is reset,
 * destroyed, or rewound to before this call. What it holds counts in the parent's limit and figures. Returns
 * NULL with errno ENOMEM. */
FALLOW_API fallow_pool *fallow_pool_create_child(fallow_pool *parent) FALLOW_MUST_USE;

/* Limits what the pool and its children may hold: it gets no new chunk that would exceed so many bytes. 0: no
 * limit. */
FALLOW_API void fallow_pool_set_limit(fallow_pool *pool, size_t bytes);

/* Returns `bytes`, aligned to 16, not cleared, until the pool is reset, rewound or destroyed; 0 bytes give an
 * object of its own. Returns NULL with errno ENOMEM at its limit or the arena's, or when the system has no
 * memory; nothing is lost by that. */
FALLOW_API void *fallow_pool_alloc(fallow_pool *pool, size_t bytes) FALLOW_MUST_USE;

/* The same, all zero; aligned to a power of two (NULL with errno EINVAL if `alignment` is none). */
FALLOW_API void *fallow_pool_alloc_zeroed(fallow_pool *pool, size_t bytes) FALLOW_MUST_USE;
FALLOW_API void *fallow_pool_alloc_aligned(fallow_pool *pool, size_t alignment, size_t bytes) FALLOW_MUST_USE;

/* Copy `bytes` bytes; a string; at most its first `bytes` bytes, with a zero behind them. Return NULL with
 * errno ENOMEM. */
FALLOW_API void *fallow_pool_copy(fallow_pool *pool, const void *from, size_t bytes) FALLOW_MUST_USE;
FALLOW_API char *fallow_pool_strdup(fallow_pool *pool, const char *text) FALLOW_MUST_USE;
FALLOW_API char *fallow_pool_strndup(fallow_pool *pool, const char *text, size_t bytes) FALLOW_MUST_USE;

/* Like sprintf, into a string as long as needed. Return NULL with errno ENOMEM, or that of vsnprintf. */
FALLOW_API char *fallow_pool_printf(fallow_pool *pool, const char *format, ...) FALLOW_MUST_USE
    __attribute__((format(printf, 2, 3)));
FALLOW_API char *fallow_pool_vprintf(fallow_pool *pool, const char *format, va_list arguments) FALLOW_MUST_USE
    __attribute__((format(printf, 2, 0)));

/*
 * Registers `clean_up` to be called with `context` when the pool is reset, destroyed, or rewound to before
 * this call. Each registration is called once, the last first, after the children made since then are gone
 * and while all memory is still there. A clean-up may use the pool's memory; what it makes in the pool goes
 * with the rest. It may not reset, rewind or destroy the pool (one line, and SIGABRT). Returns false with
 * errno ENOMEM; it will then not be called.
 */
FALLOW_API bool fallow_pool_on_clean_up(fallow_pool *pool, void (*clean_up)(void *context),
                                        void *context) FALLOW_MUST_USE;

/* Drops the pool's newest clean-up with this call and context. Returns false if there is none. */
FALLOW_API bool fallow_pool_cancel_clean_up(fallow_pool *pool, void (*clean_up)(void *context),
                                            void *context);

/* Moves that clean-up to another pool, as if it were registered there now: for what outlives the request.
 * Returns false with errno ENOENT if the first pool has none; ENOMEM, and it stays where it was. */
FALLOW_API bool fallow_pool_move_clean_up(fallow_pool *from, fallow_pool *to, void (*clean_up)(void *context),
                                          void *context);

/* A moment in a pool's life. The fields are the pool's own. */
typedef struct fallow_pool_mark {
    const fallow_pool *pool;
    void *newest, *large, *next;
    uint64_t events;
    size_t used_before;
    size_t resets;
    size_t room[3]; /* for what a mark may need one day: it is passed by value, and so never grows */
} fallow_pool_mark;

FALLOW_API fallow_pool_mark fallow_pool_mark_here(const fallow_pool *pool);

/*
 * Drops everything that came after the mark: objects, children, clean-ups (which are called), and whatever
 * these make on the way, the last first. What was there at the mark stays, whatever has since happened to
 * children made before it. Marks taken since are void; this one may be used again. A mark of another pool, a
 * mark from before a reset, and a void mark whose objects are gone stop the process with one line.
 */
FALLOW_API void fallow_pool_rewind(fallow_pool *pool, fallow_pool_mark mark);

/* Drops all that was allocated. The first chunk and the newest, as a rule the longest, stay for what comes;
 * the others go back. */
FALLOW_API void fallow_pool_reset(fallow_pool *pool);

/* Ends the pool and its children, with all that was allocated in them. NULL does nothing. */
FALLOW_API void fallow_pool_destroy(fallow_pool *pool);

/* Makes the pool, with its children, the calling thread's; the thread before must be done with it. */
FALLOW_API void fallow_pool_take_over(fallow_pool *pool);

/* Returns the bytes that allocations have taken, padding included, since the pool was made or reset, without
 * those of its children. */
FALLOW_API size_t fallow_pool_used_bytes(const fallow_pool *pool);

/* Returns the bytes of its chunks and of its children's: what it costs. */
FALLOW_API size_t fallow_pool_held_bytes(const fallow_pool *pool);

/* Figures of one pool: each of some moment of the call, and exact if its thread does nothing meanwhile. */
typedef struct fallow_pool_figures {
    const fallow_pool *parent; /* NULL if it has none */
    size_t used_bytes;         /* see fallow_pool_used_bytes */
    size_t held_bytes;         /* see fallow_pool_held_bytes */
    size_t limit_bytes;        /* 0: none */
} fallow_pool_figures;

/*
 * Shows every pool of an arena (NULL: of the process's own), children too, the newest first. It ends when
 * `visit` returns false, and then returns false. Any thread may call this and needs to hold nothing: others
 * may make, use and end pools of the arena meanwhile, without waiting. A pool that is there all the while is
 * shown once, one that is made meanwhile is not.
 *
 * Only the thread that a shown pool belongs to may use it, from inside `visit` too: it may make others, and
 * reset or end any, this one as well. To other threads `pool` is a name to compare, as the pool may end at
 * any time. `figures` lives as long as the call. Resetting or destroying the arena from inside stops the
 * process. `visit` has to return: no longjmp, no exception.
 */
typedef bool fallow_pool_visit(void *context, fallow_pool *pool, const fallow_pool_figures *figures);
FALLOW_API bool fallow_pool_each(fallow_arena *arena, fallow_pool_visit *visit, void *context);

#ifdef __cplusplus
}
#endif
#endif
