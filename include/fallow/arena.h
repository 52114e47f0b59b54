/* SPDX-License-Identifier: MIT */
/*
 * arena.h: a heap of its own for a tenant, a shard, a cache: its own address range, its own limit, its own
 * figures, and an end that gives everything back in one call.
 *
 * An arena's limit is on Ready bytes: the OS pages that the arena can have resident. The pages of a block
 * count from the moment when it, or a neighbour in them, is handed out for the first time; idle pages count
 * until they are given back. An arena refuses a request only if the OS pages that hold a live block (of
 * blocks above 128 KiB: units of 16 KiB) and those that the request needs exceed its limit: everything else
 * goes back first, whichever thread used it.
 *
 * A handle that has ended (the arena was destroyed, by itself or with its parent) stops the process with one
 * line wherever it is used, for ever: no other arena gets it. So do NULL, except where this header gives it a
 * meaning, and anything that never was a handle.
 *
 * AddressSanitizer reports a use after free, a use of the byte behind a block, and a use after reset, in any
 * program built with it. valgrind does so with a library that checks (docs/embedding.md, "Memory checkers").
 *
 * Threads: any thread may call any function. A block may be freed by another thread than the one that
 * allocated it. While fallow_arena_destroy runs, no other thread may use the arena or its blocks.
 */
#ifndef FALLOW_ARENA_H
#define FALLOW_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fallow_arena fallow_arena;

/* What an arena does with memory that has become idle. */
typedef enum fallow_give_back_policy {
    FALLOW_GIVE_BACK_USUAL, /* the excess over the recent peak while in use, all of it when quiet */
    FALLOW_GIVE_BACK_NEVER, /* only at limits, under pressure, and when the program asks (fallow_give_back) */
    FALLOW_GIVE_BACK_AT_ONCE, /* all at the next tick: the least memory, a fault for each page used again */
    FALLOW_GIVE_BACK_ROOM_ = 0x7fffffff /* no policy: keeps the type as wide as an int */
} fallow_give_back_policy;

/* Flags of an arena. */
#define FALLOW_ARENA_ONE_THREAD 1u /* one thread at a time uses it and frees in it: this makes it faster */

struct osmem_backend;

/* What an arena can be made with. All zero: no limits, no parent, the system's memory, any thread. */
typedef struct fallow_arena_options {
    const char *name;        /* shown in figures; up to 31 bytes are copied */
    size_t soft_limit_bytes; /* 0: none; so with the next two. See fallow_arena_set_limits */
    size_t limit_bytes;
    size_t idle_max_bytes;
    fallow_arena *parent; /* its limits hold for this arena as well, its figures include this one's */
    /* osmem.h: where the memory comes from. The back end must accept addresses that it is asked for, and have
     * OS pages no larger than the process's (else EINVAL). Once it has refused a free, it and its context
     * must live as long as the process: what it did not take back is kept for the next arena with this back
     * end. */
    const struct osmem_backend *backend;
    unsigned flags;
    fallow_give_back_policy give_back;
} fallow_arena_options;

/* Why memory was given back. */
typedef enum fallow_cause {
    FALLOW_CAUSE_GOAL,     /* the arena had more idle than its recent peak made likely to be used again */
    FALLOW_CAUSE_QUIET,    /* nothing went on in the arena */
    FALLOW_CAUSE_LIMIT,    /* a limit was in the way, or a soft one was exceeded */
    FALLOW_CAUSE_PRESSURE, /* the system, or the container, was short of memory */
    FALLOW_CAUSE_REQUEST,  /* fallow_give_back */
    FALLOW_CAUSE_ROOM_ = 0x7fffffff
} fallow_cause;

#define FALLOW_CAUSES_MAX 8 /* more than are in use */

/* Whose limit made a request fail. */
typedef enum fallow_refused_by {
    FALLOW_REFUSED_BY_NOBODY,  /* no request has failed yet */
    FALLOW_REFUSED_BY_ARENA,   /* the limit of the arena itself */
    FALLOW_REFUSED_BY_PARENT,  /* the limit of an arena above it */
    FALLOW_REFUSED_BY_PROCESS, /* fallow_set_limits */
    FALLOW_REFUSED_BY_SYSTEM,  /* the system has no memory */
    FALLOW_REFUSED_BY_SIZE,    /* no arena could ever serve it: its size or alignment, or too low a limit */
    FALLOW_REFUSED_BY_ROOM_ = 0x7fffffff
} fallow_refused_by;

#define FALLOW_REFUSED_BY_MAX 12 /* more than are in use */

/* Figures of one arena, in bytes unless stated otherwise, all of one moment. */
typedef struct fallow_arena_figures {
    size_t prepared_bytes; /* address space that is mapped, but not meant to be backed by memory */
    size_t ready_bytes;    /* can be resident; above the limit only after that was lowered */
    size_t ready_peak_bytes;
    size_t granted_bytes;      /* to slabs, large blocks, pools, and what threads keep for their next ones */
    size_t decommitted_bytes;  /* the part of these that is not Ready: in slabs, not used yet or given back */
    size_t idle_bytes;         /* the part of the Ready bytes that is granted to nobody */
    size_t largest_free_bytes; /* the longest run that could be granted without more address space */
    size_t soft_limit_bytes;   /* 0: none; so with the next two */
    size_t limit_bytes;
    size_t idle_max_bytes;
    uint64_t grown_bytes;  /* became Ready, ever: each OS page of it that was touched cost a fault */
    uint64_t system_calls; /* made for the arena, ever */
    uint64_t refusals;     /* requests that failed, ever */
    uint64_t sheds;        /* how often its shedder was asked, at the hard limit or the soft one, ever */
    struct {
        uint64_t bytes; /* given back, ever */
        uint64_t ns;    /* the time that took */
    } given[FALLOW_CAUSES_MAX];
    size_t heaps; /* threads' parts of it, some waiting for a thread: 3.5 KiB each, and its slabs */
    uint64_t refused[FALLOW_REFUSED_BY_MAX]; /* the refusals, by whose limit it was (fallow_refused_by) */
} fallow_arena_figures;

/*
 * Makes an empty arena. name, or NULL, is shown in figures; up to 31 bytes of it are copied. limit_bytes is
 * rounded down to OS pages, but to no less than one; 0: no limit. The smallest useful limit is the size of
 * the arena's largest block, rounded up to OS pages (above 128 KiB: to 16 KiB). Returns NULL with errno
 * ENOMEM if there is no memory for its bookkeeping, or if 65,536 arenas exist.
 */
FALLOW_API fallow_arena *fallow_arena_create(const char *name, size_t limit_bytes) FALLOW_MUST_USE;

/*
 * The same with all options. A child's Ready bytes count in its parent's limits and figures, and so on
 * upwards. Where the parent's limit is in the way of a child's request, the parent's shedder is asked
 * (fallow_arena_on_limit). options_bytes is sizeof *options. Returns NULL with errno EINVAL for a size that
 * no version had, and for unknown flags, policies or options. Costs 3.7 KiB of bookkeeping and, from its
 * first block on, a slab for each size; each thread that uses it costs 3.5 KiB more, in at most the 64 arenas
 * that it used last.
 */
FALLOW_API fallow_arena *fallow_arena_create_sized(const fallow_arena_options *options,
                                                   size_t options_bytes) FALLOW_MUST_USE;

FALLOW_INLINE fallow_arena *fallow_arena_create_with(const fallow_arena_options *options) {
    return fallow_arena_create_sized(options, sizeof *options);
}

/* The name lives as long as the arena. Returns NULL for an arena without a parent. */
FALLOW_API const char *fallow_arena_name(const fallow_arena *arena);
FALLOW_API fallow_arena *fallow_arena_parent(const fallow_arena *arena);

/*
 * Moves an arena, with all below it, to another parent; NULL: below nobody. At one moment, all that they have
 * stops counting in the limits and figures where they were, and counts in those there. Any thread may call
 * this while others allocate and free in all these arenas, and make and end arenas below them; whoever needs
 * pages meanwhile waits until every arena of the process has been looked at once.
 *
 * Returns false with errno ENOMEM, and changes nothing, if a limit of the parent or of one above it leaves no
 * room even after all idle memory below both has gone back and shedders have been asked as by a request in
 * the parent. That counts as a refused request of the parent: fallow_arena_last_refusal(parent, ...) says
 * whose limit it was. Returns false with errno EINVAL if the parent is the arena itself or below it, or the
 * arena is malloc's own.
 *
 * None of the three arenas may end meanwhile. A request in the arena or below it that began before this call
 * may still come to a limit of the old parent, and ask its shedder: that parent may end once such requests
 * have returned.
 */
FALLOW_API bool fallow_arena_set_parent(fallow_arena *arena, fallow_arena *parent) FALLOW_MUST_USE;

/*
 * Set limits, in bytes, on what the arena can have resident, rounded down to OS pages, but to no less than
 * one; 0: none. If a hard limit is below what is Ready, everything that no live block needs goes back at
 * once. What still exceeds the limit stays until it is freed, and nothing more is granted meanwhile.
 *
 *   soft  never refuses: above it, idle memory goes back before the arena grows, and none is kept
 *   hard  at it, idle memory goes back; then the shedder is asked; then the request fails with ENOMEM
 */
FALLOW_API void fallow_arena_set_limits(fallow_arena *arena, size_t soft_bytes, size_t hard_bytes);

/* Limits idle memory; what exceeds this goes back as soon as that can be done. 0: the arena keeps as much as
 * its recent peak makes likely to be used again. */
FALLOW_API void fallow_arena_set_idle_max(fallow_arena *arena, size_t idle_bytes);

/*
 * Sets the arena's shedder: the function that is asked to free something at the arena's hard limit, at the
 * process's, or when the system has no memory; NULL: nobody is asked. It is told how many bytes are wanted,
 * frees what it can spare, in this arena or elsewhere, and returns whether it is worth trying again. It runs
 * in the thread that makes the request, in one thread at a time for each arena; what it allocates itself
 * fails rather than call it again.
 *
 * That thread may be allocating in an arena below, even if this one is FALLOW_ARENA_ONE_THREAD: the function
 * then has to keep other threads out of this one before it frees here. It may not reset or destroy the arena,
 * or the one that the request is in (one line, and SIGABRT), and has to return: no longjmp, no exception.
 */
typedef bool fallow_shed(void *context, size_t wanted_bytes);
FALLOW_API void fallow_arena_on_limit(fallow_arena *arena, fallow_shed *shed, void *context);

/*
 * The same at the soft limit, before anything fails. The function is called once each time the limit is
 * crossed upwards, or lowered below what is in use, and told by how much it is exceeded; what it returns is
 * ignored. Then what exceeds the limit and holds no live block goes back. Where that leaves the limit
 * exceeded, the function is called again once the excess has doubled, but not before the arena has grown by a
 * 32nd of the limit.
 *
 * It runs in fallow_tick; if the program has not called that for a second, in the thread whose request
 * crossed the limit, after the request has been served. In any case it runs before a request is refused, as
 * long as the limit is exceeded and something has been freed since the last time, in the thread of that
 * request, which is then tried again. It never runs in fallow's own thread, nor with a lock held.
 *
 * A request that would be refused while another thread is in a function of these two kinds, in the same
 * arena, waits for it and is tried again, unless it comes from inside one itself.
 */
FALLOW_API void fallow_arena_on_soft_limit(fallow_arena *arena, fallow_shed *shed, void *context);

/* Returns why the arena's latest failed request failed, in whichever thread. *whose, unless `whose` is NULL,
 * becomes the arena whose limit it was; NULL if it was no arena's, or one's that is no longer above it. */
FALLOW_API fallow_refused_by fallow_arena_last_refusal(const fallow_arena *arena, const fallow_arena **whose);

/*
 * Drops all blocks; the arena lives on: for the next request, the next game level, the next batch. Up to
 * keep_bytes of its memory stay Ready, the rest goes back to the system at once. Arenas below are not
 * touched. Any number of threads may have used the arena; none may do so while this runs, and no block or
 * pool of it may be used afterwards.
 */
FALLOW_API void fallow_arena_reset(fallow_arena *arena, size_t keep_bytes);

/*
 * Ends the arenas below, then this one: all blocks are gone, and all memory goes back to the system. NULL
 * does nothing. Any number of threads may have used the arena; none may do so any more.
 */
FALLOW_API void fallow_arena_destroy(fallow_arena *arena);

/* Returns at least `bytes`, aligned to 16, not cleared; 0 bytes give a block of their own. Returns NULL with
 * errno ENOMEM at the limit or when the system has no memory; nothing is lost by that. */
FALLOW_API void *fallow_arena_alloc(fallow_arena *arena, size_t bytes) FALLOW_MUST_USE;

/* The same, all zero. */
FALLOW_API void *fallow_arena_alloc_zeroed(fallow_arena *arena, size_t bytes) FALLOW_MUST_USE;

/* The same, aligned to a power of two. Returns NULL with errno EINVAL if `alignment` is none. */
FALLOW_API void *fallow_arena_alloc_aligned(fallow_arena *arena, size_t alignment,
                                            size_t bytes) FALLOW_MUST_USE;

/* The same for an array: count times each_bytes. Return NULL with errno ENOMEM also if that exceeds a
 * size_t. */
FALLOW_API void *fallow_arena_alloc_array(fallow_arena *arena, size_t count,
                                          size_t each_bytes) FALLOW_MUST_USE;
FALLOW_API void *fallow_arena_alloc_zeroed_array(fallow_arena *arena, size_t count,
                                                 size_t each_bytes) FALLOW_MUST_USE;

/* Like fallow_arena_alloc; *got becomes what the block really holds, all of which may be used (C++23's
 * allocate_at_least). *got is untouched on failure. */
FALLOW_API void *fallow_arena_alloc_at_least(fallow_arena *arena, size_t bytes, size_t *got) FALLOW_MUST_USE;

/* Returns how much a block of any arena holds; under a memory checker, what was asked for. It stays the same
 * for the block's whole life, unless the block is resized. */
FALLOW_API size_t fallow_arena_usable_bytes(const void *block);

/* Makes a block hold at least `bytes` (not 0) where it is. Returns false, and changes nothing, if that cannot
 * be done or would leave more than half of the block idle. */
FALLOW_API bool fallow_arena_resize(fallow_arena *arena, void *block, size_t bytes);

/*
 * Returns a block of at least `bytes` with the same contents, as far as they fit: in place if possible, else
 * elsewhere (pages of large blocks are moved, not copied). With a NULL block like fallow_arena_alloc. Returns
 * NULL with errno ENOMEM, and leaves the block as it was.
 */
FALLOW_API void *fallow_arena_realloc(fallow_arena *arena, void *block, size_t bytes) FALLOW_MUST_USE;

/* The same for an array. Returns NULL with errno ENOMEM also if count times each_bytes exceeds a size_t. */
FALLOW_API void *fallow_arena_realloc_array(fallow_arena *arena, void *block, size_t count,
                                            size_t each_bytes) FALLOW_MUST_USE;

/* The same, aligned to a power of two, which the block need not have been. Returns NULL with errno EINVAL,
 * and leaves the block as it was, if `alignment` is none. */
FALLOW_API void *fallow_arena_realloc_aligned(fallow_arena *arena, void *block, size_t alignment,
                                              size_t bytes) FALLOW_MUST_USE;

/* Frees a block of this arena; NULL does nothing. A pointer that is no block, or another arena's, stops the
 * process. */
FALLOW_API void fallow_arena_free(fallow_arena *arena, void *block);

/* Frees a block of any arena, for callers that do not know which; takes some nanoseconds more. NULL does
 * nothing. */
FALLOW_API void fallow_free(void *block);

/* Gives back at once everything that is idle in an arena and those below it, whatever it takes. Returns the
 * number of bytes given back. (fallow_give_back does so in all arenas.) */
FALLOW_API size_t fallow_arena_give_back(fallow_arena *arena);

/*
 * Shows every live block of an arena, with what it holds, in order of addresses within each region. The walk
 * ends when `visit` returns false, and then returns false. The caller keeps the arena quiet meanwhile: no
 * thread allocates, frees, or uses a block.
 *
 * From inside `visit`, allocating or freeing in the arena stops the process with one line, at the end of the
 * walk at the latest if that leaves more or fewer blocks live; a reset or the arena's end stops it at once.
 * Other arenas may be used and made, and this one may be walked; ticks, give-backs and statistics may run in
 * any thread. `visit` has to return: no longjmp, no exception. Chunks of pools are not blocks, and are not
 * shown.
 */
typedef bool fallow_visit(void *context, void *block, size_t bytes);
FALLOW_API bool fallow_arena_walk(fallow_arena *arena, fallow_visit *visit, void *context);

/* Reads the figures of the arena alone, except that limits, ready_bytes and prepared_bytes include the arenas
 * below. figures_bytes is sizeof *figures. Returns false with errno EINVAL if no version had that size. */
FALLOW_API bool fallow_arena_read_sized(const fallow_arena *arena, fallow_arena_figures *figures,
                                        size_t figures_bytes);

/* The same for callers compiled with this header. */
FALLOW_INLINE fallow_arena_figures fallow_arena_read(const fallow_arena *arena) {
    fallow_arena_figures figures = FALLOW_ZEROS;
    (void)fallow_arena_read_sized(arena, &figures, sizeof figures);
    return figures;
}

/* Two figures in constant time, for callers that ask often (a collector that paces itself). ready_bytes: what
 * can be resident of the arena and those below it; takes no lock. used_bytes: what of the arena alone is
 * Ready and granted: live blocks, pools, and what is free between them. */
FALLOW_API size_t fallow_arena_ready_bytes(const fallow_arena *arena);
FALLOW_API size_t fallow_arena_used_bytes(const fallow_arena *arena);

/*
 * Shows every arena directly below `parent` (NULL: every arena of the process, malloc's own among them). It
 * ends when `visit` returns false, and then returns false. Others may make and destroy arenas meanwhile: an
 * arena that lives (below that parent) all the while is shown once, except while it is being reset; one that
 * is made meanwhile is shown with all that it was made with, or not at all. A thread that destroys or resets
 * the arena being shown waits for `visit` to return. From inside `visit`, ending or resetting that arena or
 * the parent stops the process; everything else is allowed. `visit` has to return: no longjmp, no exception.
 */
typedef bool fallow_arena_visit(void *context, fallow_arena *arena);
FALLOW_API bool fallow_arena_each(const fallow_arena *parent, fallow_arena_visit *visit, void *context);

/*
 * Says that the calling thread is done with the arena for now: as when a thread ends, its heap there waits
 * for the next thread that comes, or goes back a few ticks later. Blocks live on, and the thread may use the
 * arena again. Returns false, and changes nothing, if the thread is in the middle of a request there (in a
 * call-back).
 */
FALLOW_API bool fallow_arena_detach(fallow_arena *arena);

/* Returns the arena that a block came from; NULL if the pointer is not into a block of fallow's (of a block
 * above a MiB: into its first MiB). */
FALLOW_API fallow_arena *fallow_arena_of(const void *block);

#ifdef __cplusplus
}
#endif
#endif
