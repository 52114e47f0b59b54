/* SPDX-License-Identifier: MIT */
/*
 * heap.h: one thread's part of one arena: its slabs, by size class. The face of the floor.
 *
 * For its thread a slab is one of three things:
 *   current   at most one for each class: allocation pops from it, frees push to it
 *   parked    the thread's own, not allocated from: its frees are still plain pushes
 *   any other one atomic push, which also counts (slabword.h)
 *
 * Every free by the owner is bracketed by two plain stores to `busy`, so that the scavenger can take a parked
 * slab away from a thread that sleeps: it takes the owner's tag out of the table, fences all threads, and
 * looks at `busy`. The owner stores `busy` and then reads the tag; the scavenger stores the tag, fences, and
 * then reads `busy`: one of them sees the other (Dekker, with the whole price on the scavenger's side).
 *
 * Threads: a heap belongs to the thread that it was made for. The lists of parked slabs are the only part
 * that the scavenger touches too; heap->lock guards them.
 */
#ifndef FL_HEAP_H
#define FL_HEAP_H

#include <stdatomic.h>

#include "../arena/spans.h"
#include "arena_heaps.h"
#include "slab.h"

#define FL_TAG_NEVER UINT32_MAX /* no entry of the table ever has this tag */

struct fl_thread;

typedef struct fl_parked {
    fl_slab *first; /* those with a fair number free */
    fl_slab *last;  /* the others */
} fl_parked;

typedef struct fl_heap {
    /* What the fast paths touch. */
    _Atomic uint32_t busy;
    uint32_t tag;
    fl_slab *current[FL_CLASS_COUNT]; /* never NULL */

    fallow_arena *arena;
    struct fl_thread *thread;
    fl_lock lock;
    fl_parked parked[FL_CLASS_COUNT];
    fl_spans spans;          /* given up lately */
    size_t partial_bytes;    /* of parked slabs with a fair number free; guarded by lock */
    uint64_t visits;         /* of slow paths; guarded by lock */
    _Atomic(fl_slab *) told; /* slabs that others freed a fair number of, linked by told_next */
    _Atomic uint32_t owned;  /* slabs with our tag, and one while the heap lives: then it is recycled */
    struct fl_heap *next;    /* in the arena (heaps_lock), or among the recycled */
    struct fl_heap *previous;
    struct fl_heap *next_of_thread; /* the thread's own list */
    uint64_t visits_seen;           /* the scavenger's */
    uint32_t quiet_ticks;           /* the scavenger's */
} fl_heap;

/* What a thread has before it has a heap: nothing can be had from it and no pointer is its own, so the
 * fast paths need no question whether there is a heap. */
extern fl_heap fl_empty_heap;

/* A heap for a thread; NULL: out of memory. */
fl_heap *fl_heap_acquire(fallow_arena *arena, struct fl_thread *thread);

/* Lets all slabs go; they live on as nobody's while they hold live blocks. */
void fl_heap_release(fl_heap *heap);

/* The rest of fl_heap_alloc and fl_heap_free. They may be given the empty heap. errno is set here, so that the
 * fast path has nothing to do after it: it ends in a jump. */
void *fl_heap_alloc_slow(fl_heap *heap, size_t bytes);
void fl_heap_free_other(fl_heap *heap, void *block);
void fl_heap_drained(fl_heap *heap, fl_slab *slab);
/* A block of at least so many bytes (of FL_CLASS_BYTES_MAX at most) that is known to be zero; NULL: none is at hand. */
void *fl_heap_pop_zeroed(fl_heap *heap, size_t bytes);

_Noreturn void fl_heap_double_free(fl_heap *heap, void *block);

/* The scavenger's part of this floor (fl_scavenger_reclaim). */
bool fl_heap_reclaim(fl_arena *arena, fl_cause cause, uint64_t deadline_ns);

/* In the child of a fork: no other thread exists. `mine` are the heaps of the thread that forked. */
void fl_heap_fork_child(fallow_arena *arena, const struct fl_thread *self);

/* All heaps of an arena that is destroyed. */
void fl_heap_abandon_all(fallow_arena *arena);

void fl_heap_fork_prepare(void);
void fl_heap_fork_done(void);

/*
 * A block of at least `bytes`, aligned to 16; NULL with errno ENOMEM and nothing lost when there is no memory.
 */
static inline void *fl_heap_alloc(fl_heap *heap, size_t bytes) {
    if (__builtin_expect(bytes > FL_CLASS_TABLE_BYTES_MAX, 0))
        return fl_heap_alloc_slow(heap, bytes);
    fl_slab *slab = heap->current[fl_class_table[(bytes + 15) / 16]];
    if (__builtin_expect(!slab->free, 0))
        return fl_heap_alloc_slow(heap, bytes);
    return fl_slab_pop(slab);
}

/* Frees any block of any arena in the window, or NULL. */
static inline void fl_heap_free(fl_heap *heap, void *block) {
    size_t page = fl_page_of(block);
    if (__builtin_expect(page >= atomic_load_explicit(&fl_the_window.pages, memory_order_relaxed), 0)) {
        fl_heap_free_other(heap, block);
        return;
    }
    /* Before the tag is read, in program order; the scavenger's fence makes that an order for all. */
    atomic_store_explicit(&heap->busy, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    fl_entry entry = atomic_load_explicit(&fl_the_window.table[page], memory_order_relaxed);
    if (__builtin_expect((uint32_t)entry != heap->tag, 0)) {
        atomic_store_explicit(&heap->busy, 0, memory_order_release);
        fl_heap_free_other(heap, block);
        return;
    }
    fl_slab *slab = fl_slab_at((uint32_t)(entry >> 32));
    void *head = slab->free;
    if (__builtin_expect(head == block, 0))
        fl_heap_double_free(heap, block);
    fl_link_set(block, head);
    slab->free = block;
    if (__builtin_expect(--slab->left == 0, 0)) {
        fl_heap_drained(heap, slab);
        return;
    }
    /* Release: who sees 0 (the scavenger, acquire) sees the push. */
    atomic_store_explicit(&heap->busy, 0, memory_order_release);
}

#endif
