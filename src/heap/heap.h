/* SPDX-License-Identifier: MIT */
/*
 * heap.h: one thread's part of one arena: its slabs, by size class. The face of the floor.
 *
 * For its thread a slab is one of three things:
 *   current   at most one for each class: allocation pops from it, frees push to it
 *   parked    the thread's own, not allocated from: its frees are still plain pushes
 *   any other one atomic push, which also counts (slabword.h)
 *
 * Before its owner works on one of these outside of the heap's lock, it says so in the heap's hazard pointer, and clears that
 * when it is done: a block that it frees, or the heap itself, where it may touch any current slab. So upkeep, and a thread that is
 * at a limit, can take slabs away from threads that are outside: it takes the slab out of `current` and the owner's tag out of
 * the table, fences all threads, and looks at the hazard pointer. The owner stores that and then reads `current` or the tag; the
 * other stores those, fences, and then reads it: one of them sees the other (Dekker, with the whole price on the other's side).
 *
 * Threads: a heap belongs to one thread at a time; a thread that parts with it may leave it to another (idle.h). Which slabs are
 * current, and the lists of parked ones, change under heap->lock; the owner reads the former without it.
 */
#ifndef FL_HEAP_H
#define FL_HEAP_H

#include <stdatomic.h>

#include "../arena/spans.h"
#include "../system/fatal.h"
#include "arena_heaps.h"
#include "slab.h"

#define FL_TAG_NEVER FL_TAG_MAX            /* no entry of the table ever has this tag */
#define FL_DIRECT_BYTES_MAX ((size_t)1024) /* up to here one load finds the slab for a size */

struct fl_thread;

/* Parked slabs of one kind, newest first. */
typedef struct fl_parked {
    fl_slab *first;
    fl_slab *last;
} fl_parked;

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
    _Atomic(fl_slab *)
        direct[FL_DIRECT_BYTES_MAX / 16 + 1];   /* by (size + 15) / 16: current slabs once more */
    _Atomic(fl_slab *) current[FL_CLASS_COUNT]; /* never NULL */

    fl_lock lock;
    fl_parked partial[FL_CLASS_COUNT]; /* parked, with a fair number free */
    fl_parked full;                    /* the other parked ones, of all classes */
    bool released;                     /* its thread has let go of all that it knew of; guarded by lock */
    bool
        slabs_lost; /* in the child of a fork: their owner was in the middle of something, and is not there */
    fl_kept kept;   /* for its next slabs and large blocks */
    size_t partial_bytes;    /* of parked slabs with a fair number free; guarded by lock */
    uint64_t visits;         /* of slow paths; guarded by lock */
    _Atomic(fl_slab *) told; /* slabs that others freed a fair number of, linked by told_next */
    _Atomic uint32_t owned;  /* slabs with our tag, and one while the heap lives: then it is recycled */
    struct fl_heap *next;    /* in the arena (heaps_lock), or among the recycled */
    struct fl_heap *previous;
    uint64_t visits_seen; /* the scavenger's */
    uint32_t quiet_ticks; /* the scavenger's */
} fl_heap;

/* What a thread has before it has a heap: nothing can be had from it and no pointer is its own, so the
 * fast paths need no question whether there is a heap. */
extern fl_heap fl_empty_heap;

/* A heap for a thread; NULL: out of memory. */
fl_heap *fl_heap_acquire(fallow_arena *arena, struct fl_thread *thread);

/* Lets all slabs go; they live on as nobody's while they hold live blocks. */
void fl_heap_release(fl_heap *heap);

/* The rest of fl_heap_alloc and fl_heap_free, which may have entered the heap. They may be given the empty heap. errno is set here, so that the
 * fast path has nothing to do after it: it ends in a jump. */
void *fl_heap_alloc_slow(size_t bytes, fl_heap *heap);
void fl_heap_free_other(void *block, fl_heap *heap);
void fl_heap_free_doubtful(void *block,
                           fl_heap *heap); /* of its own slab, but it looks like none, or like a free one */
void fl_heap_drained(fl_slab *slab, fl_heap *heap);
/* A block of at least so many bytes (of FL_CLASS_BYTES_MAX at most) that is known to be zero; NULL: none is at hand. */
void *fl_heap_pop_fresh(fl_heap *heap, size_t bytes);

/* The slab of a class to allocate from; fl_empty_slab: none. It is set with the heap's lock. */
void fl_heap_set_current(fl_heap *heap, unsigned size_class, fl_slab *slab);

static inline fl_slab *fl_heap_current(const fl_heap *heap, unsigned size_class) {
    return atomic_load_explicit(&heap->current[size_class], memory_order_relaxed);
}

/* The scavenger's part of this floor (fl_scavenger_reclaim). Holds its lock. */
bool fl_heap_reclaim(fl_arena *arena, fl_cause cause, uint64_t deadline_ns);

/* In the child of a fork, while hazard pointers stand as they stood: gives up slabs that were taken from an owner who was in the
 * middle of them and is not there. (Nobody would ever find him outside, or all would.) */
void fl_heap_reclaim_fork_child(fallow_arena *arena, const struct fl_thread *self);

/* Whose it is changes under the lock of threads. Relaxed: who holds that lock, or has the heap in hand, needs no more, and another
 * asks only whether it is his own, which nobody but he makes it, and unmakes. */
static inline struct fl_thread *fl_heap_thread(const fl_heap *heap) {
    return atomic_load_explicit(&heap->thread, memory_order_relaxed);
}

static inline void fl_heap_set_thread(fl_heap *heap, struct fl_thread *thread) {
    atomic_store_explicit(&heap->thread, thread, memory_order_relaxed);
}

/* In the child of a fork: no other thread exists. `mine` are the heaps of the thread that forked. */
void fl_heap_fork_child(fallow_arena *arena, const struct fl_thread *self);

/* All heaps of an arena that is destroyed. */
void fl_heap_abandon_all(fallow_arena *arena);

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

/*
 * A block of at least `bytes`, aligned to 16; NULL with errno ENOMEM and nothing lost when there is no memory.
 */
static inline void *fl_heap_alloc(fl_heap *heap, size_t bytes) {
    if (__builtin_expect(bytes > FL_DIRECT_BYTES_MAX, 0))
        return fl_heap_alloc_slow(bytes, heap);
    fl_heap_enter(heap, heap);
    fl_slab *slab;
    FL_LOAD(slab, heap->direct[(bytes + 15) / 16]);
    void *block = fl_slab_pop(slab);
    if (__builtin_expect(block == NULL, 0))
        return fl_heap_alloc_slow(bytes, heap);
    fl_heap_leave(heap);
    return block;
}

/* The end of a free: a block of a slab that is the heap's. */
static inline void fl_heap_put(fl_heap *heap, fl_slab *slab, void *block) {
    fl_link_set(block, slab->free);
    slab->free = block;
    if (__builtin_expect(--slab->left == 0, 0)) {
        fl_heap_drained(slab, heap);
        return;
    }
    fl_heap_leave(heap);
}

/* Frees any block of any arena in the window, or NULL. */
static inline void fl_heap_free(fl_heap *heap, void *block) {
    size_t page = ((uintptr_t)block - heap->window_base) >> FL_PAGE_SHIFT;
    if (__builtin_expect(page >= heap->window_pages, 0)) {
        fl_heap_free_other(block, heap);
        return;
    }
    fl_heap_enter(heap, block);
    fl_entry mine = heap->entry_tag ^ atomic_load_explicit(&heap->table[page], memory_order_relaxed);
    bool not_mine;
    FL_TEST(not_mine, mine, heap->tag_bits);
    if (__builtin_expect(not_mine, 0)) {
        fl_heap_free_other(block, heap);
        return;
    }
    fl_slab *slab = (fl_slab *)(uintptr_t)mine;
    bool inside;
    FL_TEST(inside, (uint32_t)(uintptr_t)block, slab->inside_bits);
    if (__builtin_expect(inside, 0) || __builtin_expect(fl_is_marked(block), 0)) {
        fl_heap_free_doubtful(block, heap);
        return;
    }
    fl_heap_put(heap, slab, block);
}

#endif
