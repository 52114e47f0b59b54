/* SPDX-License-Identifier: MIT */
/*
 * arena.h: a heap of its own for a tenant, a shard, a cache: its own address range, its own limit, its own
 * figures, and an end that gives everything back in one call.
 *
 * An arena's limit is on Ready bytes: the OS pages that the arena can have resident. A block's pages count from the moment when
 * it, or a neighbour in them, is handed out for the first time; pages that have become idle count until they are given back. An
 * arena refuses a request only if the OS pages that hold a live block (of blocks above 128 KiB: units of 16 KiB) and those that the
 * request needs are more than its limit: everything else goes back first, whichever thread used it.
 *
 * A handle that has ended (the arena was destroyed, by itself or with its parent) stops the process with one line wherever it is
 * used, for ever: no other arena gets it. So does NULL, but where it is said to mean something, and what never was a handle.
 *
 * In a program under AddressSanitizer a use after free, by the byte beyond a block, and after a reset is reported, without
 * anything else to be done; so under valgrind with a library that checks (docs/embedding.md, "Memory checkers").
 *
 * Threads: every function may be called from any thread. A block may be freed by another thread than the one
 * that allocated it. While fallow_arena_destroy runs, no other thread may use the arena or its blocks.
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
    FALLOW_GIVE_BACK_USUAL, /* what is above the recent peak while it is in use, all of it when it is quiet */
    FALLOW_GIVE_BACK_NEVER, /* only at limits, under pressure, and when the program asks (fallow_give_back) */
    FALLOW_GIVE_BACK_AT_ONCE, /* at the next tick, whatever goes on: the least memory, and a fault for each page used again */
    FALLOW_GIVE_BACK_ROOM_ = 0x7fffffff /* none: keeps the type as wide as an int */
} fallow_give_back_policy;

/* Flags of an arena. */
#define FALLOW_ARENA_ONE_THREAD 1u /* one thread at a time uses it, frees in it included: so faster */

struct osmem_backend;

/* What an arena can be made with. All zero is the usual: no limits, below nobody, the system's memory, any thread. */
typedef struct fallow_arena_options {
    const char *name;        /* shown in figures; up to 31 bytes are copied */
    size_t soft_limit_bytes; /* 0: none; so with the next two. See fallow_arena_set_limits */
    size_t limit_bytes;
    size_t idle_max_bytes;
    fallow_arena *parent; /* its limits hold for this arena as well, its figures include this one's */
    /* osmem.h: where the memory comes from. It must take addresses as they are asked for, with OS pages no larger than the
     * process's (else EINVAL). Once it has refused a free, it and its context must live as long as the process: what it did
     * not take back is kept for the next arena with this back end. */
    const struct osmem_backend *backend;
    unsigned flags;
    fallow_give_back_policy give_back;
} fallow_arena_options;

/* Why memory was given back. */
typedef enum fallow_cause {
    FALLOW_CAUSE_GOAL,     /* more was idle than the arena's recent peak made likely to be used again */
    FALLOW_CAUSE_QUIET,    /* nothing went on in the arena */
    FALLOW_CAUSE_LIMIT,    /* a limit was in the way, or a soft one exceeded */
    FALLOW_CAUSE_PRESSURE, /* the system, or the container, was short of memory */
    FALLOW_CAUSE_REQUEST,  /* fallow_give_back */
    FALLOW_CAUSE_ROOM_ = 0x7fffffff
} fallow_cause;

#define FALLOW_CAUSES_MAX 8 /* fewer are in use */

/* Whose limit it was that a request failed for. */
typedef enum fallow_refused_by {
    FALLOW_REFUSED_BY_NOBODY,  /* no request has failed yet */
    FALLOW_REFUSED_BY_ARENA,   /* the limit of the arena itself */
    FALLOW_REFUSED_BY_PARENT,  /* that of an arena above it */
    FALLOW_REFUSED_BY_PROCESS, /* fallow_set_limits */
    FALLOW_REFUSED_BY_SYSTEM,  /* the system has no memory */
    FALLOW_REFUSED_BY_SIZE, /* no arena could ever serve it: its size or alignment, or a limit that is smaller than the request */
    FALLOW_REFUSED_BY_ROOM_ = 0x7fffffff
} fallow_refused_by;

#define FALLOW_REFUSED_BY_MAX 12 /* fewer are in use */

/* Figures of one arena, in bytes where nothing else is said, together at one moment. */
typedef struct fallow_arena_figures {
    size_t prepared_bytes; /* address space mapped, meant to have no memory behind it */
    size_t ready_bytes;    /* can be resident; never above the limit */
    size_t ready_peak_bytes;
    size_t granted_bytes;      /* in slabs and large blocks */
    size_t decommitted_bytes;  /* of these: not Ready; in slabs, not used yet or given back */
    size_t idle_bytes;         /* of the Ready bytes: granted to nobody */
    size_t largest_free_bytes; /* the longest run that could be granted without more address space */
    size_t soft_limit_bytes;   /* 0: none; so with the next two */
    size_t limit_bytes;
    size_t idle_max_bytes;
    uint64_t grown_bytes;  /* became Ready, ever: a page fault for each OS page of it that was touched then */
    uint64_t system_calls; /* made for the arena, ever */
    uint64_t refusals;     /* requests that failed, ever */
    uint64_t sheds;        /* how often its owner was asked, at the hard limit or the soft one, ever */
    struct {
        uint64_t bytes; /* given back, ever */
        uint64_t ns;    /* that it took */
    } given[FALLOW_CAUSES_MAX];
    size_t
        heaps; /* threads' parts of it, those that wait for the next thread among them: 3 KiB each, and its slabs */
    uint64_t refused[FALLOW_REFUSED_BY_MAX]; /* the refusals, by whose limit it was (fallow_refused_by) */
} fallow_arena_figures;

/*
 * A new, empty arena. name is shown in figures; up to 31 bytes of it are copied; may be NULL. limit_bytes is
 * rounded down to OS pages, of which it is one at least; 0: no limit. The smallest useful limit is that of its largest block,
 * rounded up to OS pages (above 128 KiB: to 16 KiB). NULL with errno ENOMEM when there is no memory for its bookkeeping.
 */
FALLOW_API fallow_arena *fallow_arena_create(const char *name, size_t limit_bytes) FALLOW_MUST_USE;

/*
 * The same with all options. A child's Ready bytes count in its parent's limits and figures, and so on upwards; the parent
 * is asked to shed (fallow_arena_on_limit) when its limit is in the way of a child's request. options_bytes is sizeof
 * *options. NULL with errno EINVAL for a size that no version had, and for flags, a policy or options that do not
 * exist. Costs 3 KiB of bookkeeping and, from its first block on, a slab for each size; each thread that uses it costs
 * 3 KiB more, of at most 64 arenas that it used last.
 */
FALLOW_API fallow_arena *fallow_arena_create_sized(const fallow_arena_options *options,
                                                   size_t options_bytes) FALLOW_MUST_USE;

FALLOW_INLINE fallow_arena *fallow_arena_create_with(const fallow_arena_options *options) {
    return fallow_arena_create_sized(options, sizeof *options);
}

/* The name lives as long as the arena; the parent is NULL where there is none. */
FALLOW_API const char *fallow_arena_name(const fallow_arena *arena);
FALLOW_API fallow_arena *fallow_arena_parent(const fallow_arena *arena);

/*
 * Takes an arena, with all below it, to another parent; NULL: below nobody. From one moment on, all that they have counts in the limits and
 * figures there, and no longer where it was. Any thread may call this, beside others that allocate and free in all these arenas, and that
 * make and end arenas below them; who needs pages meanwhile waits until every arena of the process has been looked at once.
 *
 * Returns false with errno ENOMEM, and nothing has changed, where a limit of the parent or of one above it leaves no room: after all idle
 * memory below both has gone back, and owners have been asked as by a request in the parent. That counts as a refused request of the parent:
 * fallow_arena_last_refusal(parent, ...) says whose limit it was. Returns false with errno EINVAL where the parent is the arena itself or below
 * it, or the arena is malloc's own.
 *
 * Neither of the three arenas may end meanwhile. A request in the arena or below it that began before this call may still come to a limit of the
 * old parent, and ask its owner: that parent may end when such requests have returned.
 */
FALLOW_API bool fallow_arena_set_parent(fallow_arena *arena, fallow_arena *parent) FALLOW_MUST_USE;

/*
 * Limits on what the arena can have resident, in bytes, rounded down to OS pages, of which they are one at least; 0: none. A hard
 * limit below what is Ready has all of it go at once that no live block needs; what is above it then stays until it is freed, and
 * nothing more is granted meanwhile.
 *
 *   soft  never refuses: above it, idle memory goes back before the arena grows, and none is kept
 *   hard  at it, idle memory goes back; then the owner is asked; then the request fails with ENOMEM
 */
FALLOW_API void fallow_arena_set_limits(fallow_arena *arena, size_t soft_bytes, size_t hard_bytes);

/* Never more idle memory than so many bytes, for longer than it takes to give back what is above; 0: as much as the
 * arena's recent peak makes likely to be used again. */
FALLOW_API void fallow_arena_set_idle_max(fallow_arena *arena, size_t idle_bytes);

/*
 * Who sheds at the arena's hard limit, at that of the process, or when the system has no memory: is told how many
 * bytes are wanted, frees what it can spare, in this arena or elsewhere, and returns whether it is worth trying again.
 * It runs in the thread whose request is in want, one thread at a time for each arena; what it allocates itself fails
 * rather than call it again. That thread may be one that allocates in an arena below: also where this one is
 * FALLOW_ARENA_ONE_THREAD, and then it has to keep out whoever else may be in this one before it frees here. It may
 * not reset or destroy the arena, nor the one that the request is in (one line, and SIGABRT), and has to return: no longjmp, no exception. NULL: nobody is asked.
 */
typedef bool fallow_shed(void *context, size_t wanted_bytes);
FALLOW_API void fallow_arena_on_limit(fallow_arena *arena, fallow_shed *shed, void *context);

/*
 * The same at the soft limit, before anything fails: asked once each time that the limit is crossed upwards, or set where more is in use
 * already, and told by how much it is exceeded; what it returns is ignored. It runs in fallow_tick; in a program that has not called that for a second, in the
 * thread whose request has crossed the limit, when this has been served. Never in fallow's own thread, nor with a lock held.
 */
FALLOW_API void fallow_arena_on_soft_limit(fallow_arena *arena, fallow_shed *shed, void *context);

/* Why the arena's last request that failed did so, in whichever thread. whose, if not NULL, becomes the arena whose limit it was;
 * NULL: no arena's, or one's that is no longer above it. */
FALLOW_API fallow_refused_by fallow_arena_last_refusal(const fallow_arena *arena, const fallow_arena **whose);

/*
 * All blocks are gone, the arena lives on: for the next request, the next game level, the next batch. Up to keep_bytes of its
 * memory stay Ready, the rest goes back to the system at once. Arenas below are not touched. Any number of threads may have
 * used the arena; none may do so while this runs, and no block or pool of it may be used afterwards.
 */
FALLOW_API void fallow_arena_reset(fallow_arena *arena, size_t keep_bytes);

/*
 * Gives everything back: all blocks are gone, all memory is the system's again; first so with all arenas below. Any number of
 * threads may have used the arena; none may do so any more.
 */
FALLOW_API void fallow_arena_destroy(fallow_arena *arena);

/* At least `bytes`, aligned to 16 bytes, not cleared. NULL with errno ENOMEM at the limit or when the system
 * has no memory; nothing is lost by that. 0 bytes give a block of its own. */
FALLOW_API void *fallow_arena_alloc(fallow_arena *arena, size_t bytes) FALLOW_MUST_USE;

/* The same, all zero. */
FALLOW_API void *fallow_arena_alloc_zeroed(fallow_arena *arena, size_t bytes) FALLOW_MUST_USE;

/* The same, aligned to a power of two. NULL with errno EINVAL if it is none. */
FALLOW_API void *fallow_arena_alloc_aligned(fallow_arena *arena, size_t alignment,
                                            size_t bytes) FALLOW_MUST_USE;

/* The same of an array: count times each_bytes. NULL with errno ENOMEM also if that is more than a size_t holds. */
FALLOW_API void *fallow_arena_alloc_array(fallow_arena *arena, size_t count,
                                          size_t each_bytes) FALLOW_MUST_USE;
FALLOW_API void *fallow_arena_alloc_zeroed_array(fallow_arena *arena, size_t count,
                                                 size_t each_bytes) FALLOW_MUST_USE;

/* The same as fallow_arena_alloc; *got becomes what the block really holds, all of which may be used. (C++23's
 * allocate_at_least.) got is untouched on failure. */
FALLOW_API void *fallow_arena_alloc_at_least(fallow_arena *arena, size_t bytes, size_t *got) FALLOW_MUST_USE;

/* What a block of any arena holds, from its start (under a memory checker: what was asked for): the same for the whole of its life, unless it is resized. */
FALLOW_API size_t fallow_arena_usable_bytes(const void *block);

/* Makes a block hold at least `bytes` (not 0) where it is. False: it cannot, or more than half of it would lie idle; nothing
 * has changed. */
FALLOW_API bool fallow_arena_resize(fallow_arena *arena, void *block, size_t bytes);

/*
 * A block with the same contents, as far as they fit, of at least `bytes`: where it is if that can be, else elsewhere (pages
 * of large blocks are moved, not copied). block NULL: as fallow_arena_alloc. NULL with errno ENOMEM: the block is as it was.
 */
FALLOW_API void *fallow_arena_realloc(fallow_arena *arena, void *block, size_t bytes) FALLOW_MUST_USE;

/* The same of an array. NULL with errno ENOMEM also if count times each_bytes is more than a size_t holds. */
FALLOW_API void *fallow_arena_realloc_array(fallow_arena *arena, void *block, size_t count,
                                            size_t each_bytes) FALLOW_MUST_USE;

/* The same, aligned to a power of two, as the block need not have been. NULL with errno EINVAL if it is none: the block is as it was. */
FALLOW_API void *fallow_arena_realloc_aligned(fallow_arena *arena, void *block, size_t alignment,
                                              size_t bytes) FALLOW_MUST_USE;

/* Frees a block of this arena; NULL does nothing. A pointer that is no block, or another arena's, stops the process. */
FALLOW_API void fallow_arena_free(fallow_arena *arena, void *block);

/* Frees a block of any arena, for who does not know of which: some nanoseconds more. NULL does nothing. */
FALLOW_API void fallow_free(void *block);

/* Gives everything back that is idle in an arena and those below it, at once, whatever it takes. Returns how many bytes went.
 * (fallow_give_back: of all arenas.) */
FALLOW_API size_t fallow_arena_give_back(fallow_arena *arena);

/*
 * Shows every live block of an arena, with what it holds, in order of addresses but for regions; false from `visit` ends the
 * walk, and is returned. The caller keeps the arena quiet meanwhile: no thread allocates, frees, or uses a block. Nothing may
 * be allocated or freed in the arena from inside; that stops the process with one line, at the end of the walk at the latest, where more
 * or less is live then; a reset, and the arena's end, stop it at once. Other arenas may be used and made, and the
 * same one walked; ticks, give-backs and statistics may run in any thread. `visit` has to return: no longjmp, no exception.
 * Chunks of pools are not blocks, and are not shown.
 */
typedef bool fallow_visit(void *context, void *block, size_t bytes);
FALLOW_API bool fallow_arena_walk(fallow_arena *arena, fallow_visit *visit, void *context);

/* Of the arena alone but for limits; ready_bytes and prepared_bytes include the arenas below. figures_bytes is
 * sizeof *figures; false with errno EINVAL if no version had that. */
FALLOW_API bool fallow_arena_read_sized(const fallow_arena *arena, fallow_arena_figures *figures,
                                        size_t figures_bytes);

/* The same for who was compiled with this header: by value, and by the size that the header says. */
FALLOW_INLINE fallow_arena_figures fallow_arena_read(const fallow_arena *arena) {
    fallow_arena_figures figures = FALLOW_ZEROS;
    (void)fallow_arena_read_sized(arena, &figures, sizeof figures);
    return figures;
}

/* Two figures in constant time, for who asks often (a collector that paces itself): what can be resident of the arena and those below
 * it, without a lock; and what of the arena alone is Ready and granted: live blocks, pools, and what is free between them. */
FALLOW_API size_t fallow_arena_ready_bytes(const fallow_arena *arena);
FALLOW_API size_t fallow_arena_used_bytes(const fallow_arena *arena);

/*
 * Shows every arena directly below `parent` (NULL: every arena of the process, malloc's own among them); false from `visit` ends it,
 * and is returned. Others may make and destroy arenas meanwhile: one that lives (below that parent) all the while is shown once, but not
 * while it is being reset; one that comes meanwhile is shown with all that it was made with, or not at all. Who destroys or resets the
 * one that is being shown waits for `visit` to return. From inside, everything is allowed but to end or reset that arena or the parent,
 * which stops the process. `visit` has to return: no longjmp, no exception.
 */
typedef bool fallow_arena_visit(void *context, fallow_arena *arena);
FALLOW_API bool fallow_arena_each(const fallow_arena *parent, fallow_arena_visit *visit, void *context);

/*
 * The calling thread is done with the arena for now: its heap there waits for the next thread that comes, or goes back a few ticks later,
 * as when a thread ends. Blocks live on; the thread may use the arena again. False: it is in the middle of a request there (in a
 * call-back), and keeps what it has.
 */
FALLOW_API bool fallow_arena_detach(fallow_arena *arena);

/* The arena that a block came from; NULL if the pointer is not into a block of fallow's (of a block above a
 * MiB: into its first MiB). */
FALLOW_API fallow_arena *fallow_arena_of(const void *block);

#ifdef __cplusplus
}
#endif
#endif
