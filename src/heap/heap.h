/* SPDX-License-Identifier: MIT */
/*
 * heap.h: one thread's part of one arena: its slabs, by size class.
 *
 * For its thread a slab is one of three things:
 *   current   at most one for each class: allocation pops from it, frees push to it
 *   parked    the thread's own, not allocated from: its frees are still plain pushes
 *   any other one atomic push, which also counts (slabword.h), for a block or for several that were gathered (batches.h)
 *
 * Before its owner works on one of these outside of the heap's lock, it says so in the heap's hazard
 * pointer, and clears that when it is done: a block that it frees, or the heap itself, where it may touch
 * any current slab. So upkeep, and a thread that is at a limit, can take slabs away from threads that are
 * outside: it takes the slab out of `current` and the owner's tag out of the table, fences all threads, and
 * looks at the hazard pointer. The owner stores that and then reads `current` or the tag; the other stores
 * those, fences, and then reads it: one of them sees the other (Dekker, with the whole price on the other's
 * side).
 *
 * In an arena at a limit, a current slab is watched, if so little is free in it that no page can be without
 * a live block: its countdown is set to the free from which on one may be, which says so (scarce.h). Until
 * then it is left alone by those at the limit. From slabs of which more is free, single blocks are taken
 * (fl_slab_take_listed).
 *
 * Threads: a heap belongs to one thread at a time; a thread that parts with it may leave it to another
 * (idle.h). Which slabs are current, and the lists of parked ones, change under heap->lock; the owner reads
 * the former without it.
 */
#ifndef FL_HEAP_H
#define FL_HEAP_H

#include <stdatomic.h>

#include "../slab/arenas.h"
#include "../slab/descriptors.h"

#define FL_TAG_NEVER FL_TAG_MAX            /* no entry of the table ever has this tag */
#define FL_DIRECT_BYTES_MAX ((size_t)1024) /* up to here one load finds the slab for a size */
#define FL_BATCHES 16                      /* other owners' slabs for which a heap gathers frees */

struct fl_thread;

#if FL_HARDENED
/* What a heap keeps of freed blocks for a while, in rings by size: quarantine.h. */
#define FL_RINGS 3
#define FL_RING_SLOTS 52
#define FL_RUNS 8

typedef struct fl_quarantine {
    uint32_t next[FL_RINGS]; /* how many have come; and so the place of the one that has waited longest */
    uint16_t first_run, run_count;
    uint32_t near; /* whose turn it is of the blocks near one */
    uint32_t chance;
    size_t run_bytes;
    fl_slab *runs[FL_RUNS];
    void *slots[FL_RING_SLOTS]; /* NULL: nothing */
} fl_quarantine;
#endif

/* Parked slabs of one kind, newest first. */
typedef struct fl_parked {
    fl_slab *first;
    fl_slab *last;
} fl_parked;

/* Blocks of one slab, linked from the newest to the oldest. */
typedef struct fl_batch {
    fl_slab *slab; /* NULL: there are none */
    void *first;
    void *last;
    uint32_t count;
} fl_batch;

typedef struct fl_heap {
    /* What the fast paths touch: with a slab and a block, all of it. The window's part stands here once more. */
    _Atomic(const void *) hazard;
    uintptr_t window_base;
    size_t window_pages; /* those that this heap knows of; more may have come, which a slow path finds out */
    _Atomic fl_entry *table;
    fl_entry entry_tag;                 /* the tag as it stands in entries of the table */
    fl_entry tag_bits;                  /* FL_ENTRY_TAG_BITS */
    _Atomic(struct fl_thread *) thread; /* NULL: the heap is idle; see fl_heap_thread */
    uint32_t pinned; /* its thread is in a slow path with it, where it may not be parted from it */
    uint32_t tag;
    fallow_arena *arena;
    _Atomic size_t
        table_bytes_end; /* smaller ones are found by fl_class_table; 0: all are counted, see sampled.h */
    _Atomic(fl_slab *)
        direct[FL_DIRECT_BYTES_MAX / 16 + 1];   /* by (size + 15) / 16: current slabs once more */
    _Atomic(fl_slab *) current[FL_CLASS_COUNT]; /* never NULL */

    fl_batch
        batches[FL_BATCHES]; /* each slab's in the place that its descriptor's address gives; see batches.h */
    _Atomic uint32_t batches_used; /* places with a slab; to others a hint */
    _Atomic bool batches_closed;   /* another thread is at them, or comes for them */

    fl_lock lock;
    fl_parked partial[FL_CLASS_COUNT]; /* parked, with the reuse minimum free */
    fl_parked full;                    /* the other parked ones, of all classes */
    bool released;                     /* its thread has let go of all that it knew of; guarded by lock */
    bool
        slabs_lost; /* in the child of a fork: their owner was in the middle of something, and is not there */
    fl_kept kept;   /* for its next slabs and large blocks */
    size_t partial_bytes;        /* of parked slabs with the reuse minimum free; guarded by lock */
    uint64_t visits;             /* of slow paths; guarded by lock */
    _Atomic(fl_slab *) notified; /* slabs that others freed the reuse minimum of, linked by notified_next */
    _Atomic uint32_t owned;      /* slabs with our tag, and one while the heap lives: then it is recycled */
    struct fl_heap *next;        /* in the arena (heaps_lock), or among the recycled */
    struct fl_heap *previous;
    uint64_t refusals_seen; /* of the arena, when at a limit a block was last wanted of abandoned slabs; */
    uint32_t calm;          /* and how often one was since the last of them */
    uint64_t visits_seen;   /* the scavenger's */
    uint32_t quiet_ticks;   /* the scavenger's */

    /* While blocks are sampled; the owner's alone, but for what fast paths find in `direct` then. */
    _Atomic int64_t sample_gap; /* bytes to the next sample; 0, which others write as well: to be drawn */
    uint64_t sample_seed;       /* 0: none yet */
    fl_slab counted;            /* as the empty slab, but no other thread writes to its line */

#if FL_HARDENED
    fl_quarantine quarantine; /* its thread's, as the batches */
#endif
} fl_heap;

/* What a thread has before it has a heap: nothing can be had from it and no pointer is its own, so the
 * fast paths need no question whether there is a heap. */
extern fl_heap fl_empty_heap;

/* The slab of a class to allocate from; fl_empty_slab: none. It is set with the heap's lock. */
void fl_heap_set_current(fl_heap *heap, unsigned size_class, fl_slab *slab);

static inline fl_slab *fl_heap_current(const fl_heap *heap, unsigned size_class) {
    return atomic_load_explicit(&heap->current[size_class], memory_order_relaxed);
}

/* From the owner's next allocation on, or the one after, all go past a slow path that counts them (sampled.h); or no longer. It is set
 * with the heap's lock. */
void fl_heap_set_counted(fl_heap *heap, bool counted);

static inline bool fl_heap_is_counted(const fl_heap *heap) {
    return atomic_load_explicit(&heap->table_bytes_end, memory_order_relaxed) == 0;
}

/* A write that comes between the two is lost: whoever wanted the gap drawn has it drawn when it ends. */
static inline int64_t fl_heap_sample_gap(const fl_heap *heap) {
    return atomic_load_explicit(&heap->sample_gap, memory_order_relaxed);
}

static inline void fl_heap_set_sample_gap(fl_heap *heap, int64_t bytes) {
    atomic_store_explicit(&heap->sample_gap, bytes, memory_order_relaxed);
}

/* Whose it is changes under the lock of threads. Relaxed: who holds that lock, or has the heap in hand, needs no more, and another
 * asks only whether it is his own, which nobody but he makes it, and unmakes. */
static inline struct fl_thread *fl_heap_thread(const fl_heap *heap) {
    return atomic_load_explicit(&heap->thread, memory_order_relaxed);
}

static inline void fl_heap_set_thread(fl_heap *heap, struct fl_thread *thread) {
    atomic_store_explicit(&heap->thread, thread, memory_order_relaxed);
}

/* The owner works on its slabs: on that of a block which it frees, or, with the heap itself, on any current one. In program order
 * before what it reads then; the fence of who takes slabs makes that an order for all. */
static inline void fl_heap_enter(fl_heap *heap, const void *hazard) {
    atomic_store_explicit(&heap->hazard, hazard, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

/* Release: who finds it clear (acquire) finds all that the owner did. */
static inline void fl_heap_leave(fl_heap *heap) {
    atomic_store_explicit(&heap->hazard, NULL, memory_order_release);
}

#endif
