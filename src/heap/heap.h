/* SPDX-License-Identifier: MIT */
/*
 * heap.h: one thread's part of one arena: its slabs, by size class.
 *
 * To its thread, a slab is one of three things:
 *   current    at most one in each class: allocation pops from it, frees push to it
 *   parked     the thread's own, not allocated from; frees are still plain pushes
 *   any other  one atomic push, which also counts (slabword.h), of a block or of gathered ones (batches.h)
 *
 * Before the owner works on a current or parked slab without the heap's lock, it stores what it works on in
 * the heap's hazard pointer: the block that it frees, or the heap itself if it may touch any current slab. It
 * clears the pointer when it is done. This lets upkeep, and a thread at a limit, take slabs away from owners
 * that are outside: the taker removes the slab from `current` and the owner's tag from the page map, fences
 * all threads and looks at the hazard pointer. The owner stores the hazard pointer and then reads `current`
 * or the tag; the taker stores those, fences, and then reads the pointer: one of the two sees the other
 * (Dekker's algorithm, with the whole price on the taker's side).
 *
 * In an arena at a limit, a current slab is watched if so little of it is free that every page has a live
 * block: its countdown is set to the free after which one may not, and that free says so (scarce.h). Until
 * then, threads at the limit leave it alone. From slabs with more free, single blocks are taken
 * (fl_slab_take_listed).
 *
 * Threads: a heap belongs to one thread at a time; a thread that parts with it may leave it to another one
 * (idle.h). Which slabs are current, and the lists of parked ones, change under heap->lock; the owner reads
 * the former without it.
 */
#ifndef FL_HEAP_H
#define FL_HEAP_H

#include <stdatomic.h>

#include "../slab/arenas.h"
#include "../slab/descriptors.h"

#define FL_TAG_NEVER FL_TAG_MAX            /* no entry of the page map ever has this tag */
#define FL_DIRECT_BYTES_MAX ((size_t)1024) /* up to here, one load finds the slab for a size */
#define FL_BATCHES 16                      /* slabs of other owners for which a heap gathers frees */

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

/* A list of parked slabs of one kind, newest first. */
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
    /* All that the fast paths touch, beside a slab and a block; so the window's part is repeated here. */
    _Atomic(const void *) hazard;
    uintptr_t window_base;
    size_t window_pages; /* those that this heap knows of; a slow path finds out if there are more */
    _Atomic fl_entry *table;
    fl_entry entry_tag;                 /* the tag as it stands in entries of the page map */
    fl_entry tag_bits;                  /* FL_ENTRY_TAG_BITS */
    _Atomic(struct fl_thread *) thread; /* NULL: the heap is idle; see fl_heap_thread */
    uint32_t pinned;                    /* its thread is in a slow path, and must not be parted from it */
    uint32_t tag;
    fallow_arena *arena;
    _Atomic size_t table_bytes_end; /* fl_class_table finds smaller ones; 0: all are counted, see sampled.h */
    _Atomic(fl_slab *)
        direct[FL_DIRECT_BYTES_MAX / 16 + 1];   /* current slabs once more, by (size + 15) / 16 */
    _Atomic(fl_slab *) current[FL_CLASS_COUNT]; /* never NULL */

    fl_batch batches[FL_BATCHES]; /* each slab's place follows from its descriptor's address; see batches.h */
    _Atomic uint32_t batches_used; /* places with a slab; a hint to other threads */
    _Atomic bool batches_closed;   /* another thread is at them, or about to be */

    fl_lock lock;
    fl_parked partial[FL_CLASS_COUNT]; /* parked, with the reuse minimum free */
    fl_parked full;                    /* the other parked ones, of all classes */
    _Atomic bool released; /* its thread has abandoned all that it knew of: nobody takes the lock again */
    bool slabs_lost; /* in the child of a fork: the owner was in the middle of something, and is not there */
    fl_kept kept;    /* for its next slabs and large blocks */
    size_t partial_bytes;        /* of parked slabs that have the reuse minimum free; guarded by lock */
    uint64_t visits;             /* of slow paths; guarded by lock */
    _Atomic(fl_slab *) notified; /* slabs of which others freed the reuse minimum, linked by notified_next */
    _Atomic uint32_t owned;      /* slabs with our tag, plus one while the heap lives; at 0 it is recycled */
    struct fl_heap *next;        /* in the arena (heaps_lock), or among the recycled */
    struct fl_heap *previous;
    uint64_t refusals_seen; /* the arena's, when, at a limit, abandoned slabs were last asked for a block; */
    uint32_t calm;          /* and how often they were since the last refusal; */
    fl_slab *taken_last;    /* and of which slab the last single block was taken */
    uint64_t visits_seen;   /* the scavenger's */
    uint32_t quiet_ticks;   /* the scavenger's */

    /* While blocks are sampled. The owner's alone, except what fast paths then find in `direct`. */
    _Atomic int64_t
        sample_gap; /* bytes to the next sample; 0: to be drawn, which other threads may write as well */
    uint64_t sample_seed; /* 0: none yet */
    uint32_t trap_gap;    /* allocations up to and including the next trapped one; 0: to be drawn */
    fl_slab counted;      /* like the empty slab, but no other thread writes to its cache line */

#if FL_HARDENED
    fl_quarantine quarantine; /* its thread's, as the batches */
#endif
} fl_heap;

/* A thread's heap before it has one: nothing can be allocated from it and no block is its own, so the fast
 * paths need not ask whether there is a heap. */
extern fl_heap fl_empty_heap;

/* Set and return the slab of a class to allocate from; fl_empty_slab: none. Setting requires the heap's
 * lock. */
void fl_heap_set_current(fl_heap *heap, unsigned size_class, fl_slab *slab);

static inline fl_slab *fl_heap_current(const fl_heap *heap, unsigned size_class) {
    return atomic_load_explicit(&heap->current[size_class], memory_order_relaxed);
}

/* Makes all allocations, from the owner's next one or the one after, take a slow path that counts them
 * (sampled.h), or no longer. Caller holds the heap's lock. */
void fl_heap_set_counted(fl_heap *heap, bool counted);

static inline bool fl_heap_is_counted(const fl_heap *heap) {
    return atomic_load_explicit(&heap->table_bytes_end, memory_order_relaxed) == 0;
}

/* A write by another thread between these two is lost; whoever wanted the gap drawn has it drawn when this
 * one ends. */
static inline int64_t fl_heap_sample_gap(const fl_heap *heap) {
    return atomic_load_explicit(&heap->sample_gap, memory_order_relaxed);
}

static inline void fl_heap_set_sample_gap(fl_heap *heap, int64_t bytes) {
    atomic_store_explicit(&heap->sample_gap, bytes, memory_order_relaxed);
}

/* The heap's thread changes under the lock of threads. Relaxed: a thread that holds that lock or has the heap
 * in hand needs no more, and any other asks only whether the heap is its own, which no other thread can make
 * true or false. */
static inline struct fl_thread *fl_heap_thread(const fl_heap *heap) {
    return atomic_load_explicit(&heap->thread, memory_order_relaxed);
}

static inline void fl_heap_set_thread(fl_heap *heap, struct fl_thread *thread) {
    atomic_store_explicit(&heap->thread, thread, memory_order_relaxed);
}

/* Says that the owner works on its slabs: on that of a block it frees or, with the heap itself, on any
 * current one. It comes before the reads that follow in program order, and the taker's fence makes that the
 * order for all threads. */
static inline void fl_heap_enter(fl_heap *heap, const void *hazard) {
    atomic_store_explicit(&heap->hazard, hazard, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

/* Release: a thread that finds it clear (acquire) finds all that the owner did. */
static inline void fl_heap_leave(fl_heap *heap) {
    atomic_store_explicit(&heap->hazard, NULL, memory_order_release);
}

#endif
