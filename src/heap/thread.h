/* SPDX-License-Identifier: MIT */
/*
 * thread.h: what fallow knows of a thread: its heap in the process's own arena, and in every other arena
 * that it has used.
 */
#ifndef FL_THREAD_H
#define FL_THREAD_H

#include "../system/fork.h"
#include "heap.h"

/*
 * The arena that the thread used last, and its heap there. Written by the thread, and by who ends an arena that the thread does
 * not use: whichever parts of two writes remain, they are a pair that was written, or one of them is NULL. Relaxed for that
 * reason.
 */
typedef struct fl_recent_heap {
    _Atomic(const fallow_arena *) arena;
    _Atomic(fl_heap *) heap;
} fl_recent_heap;

/* How thread-local storage is reached is the build's choice: initial-exec in libfallow-malloc, the general
 * model in libfallow, which may be loaded late. Two words, so that it fits where there is little room. */
extern _Thread_local fl_heap *fl_thread_heap;        /* in the process's arena; never NULL */
extern _Thread_local fl_recent_heap *fl_thread_self; /* never NULL: the head of the thread's record */

/* Brings fallow into being; may be called any number of times, from any thread. False: no memory at all. */
bool fl_process_init(void);

/* The arena of malloc, and of what names no other. NULL before fl_process_init. */
extern fallow_arena *fl_process_arena;

/* The first allocation of a thread from the process's arena: it gets a heap. */
void *fl_thread_alloc_first(size_t bytes);

/* Gives the calling thread its heap in the process's arena before it allocates. */
void fl_thread_become_known(void);

/* The calling thread's heap in an arena. NULL: out of memory. fl_thread_heap_done when finished with it. */
fl_heap *fl_thread_heap_look_up(fallow_arena *arena);

/* In place of a record, for threads whose end has been seen to: they have heaps of the moment. */
extern struct fl_thread fl_thread_ended;
void fl_thread_moment_over(fl_heap *heap);

static inline void fl_thread_heap_done(fl_heap *heap) {
    if (__builtin_expect(fl_heap_thread(heap) == &fl_thread_ended, 0))
        fl_thread_moment_over(heap);
}

/* The same where it is at hand, with nothing to be done afterwards; NULL: it is not. */
static inline fl_heap *fl_thread_heap_at_hand(const fallow_arena *arena) {
    fl_recent_heap *recent = fl_thread_self;
    if (__builtin_expect(atomic_load_explicit(&recent->arena, memory_order_relaxed) == arena, 1))
        return atomic_load_explicit(&recent->heap, memory_order_relaxed);
    return arena->only_heap;
}

static inline fl_heap *fl_thread_heap_in(fallow_arena *arena) {
    fl_heap *heap = fl_thread_heap_at_hand(arena);
    return heap ? heap : fl_thread_heap_look_up(arena);
}

/* The calling thread's heap in an arena, or the empty heap where it has none. For freeing. */
fl_heap *fl_thread_heap_look_up_if_any(fallow_arena *arena);

static inline fl_heap *fl_thread_heap_if_any(fallow_arena *arena) {
    fl_heap *heap = fl_thread_heap_at_hand(arena);
    return heap ? heap : fl_thread_heap_look_up_if_any(arena);
}

/* A heap that belongs to no thread. NULL: out of memory. */
fl_heap *fl_thread_heap_of_nobody(fallow_arena *arena);

/* The locks of the calling thread's heaps: a signal handler may have interrupted it with one of them. */
void fl_thread_visit_locks(fl_fork_visit *visit);

/* The calling thread's record, for fl_heap_thread; NULL: its end has been seen to. */
const struct fl_thread *fl_thread_record(void);

/* Which heaps threads have: held while one goes, by its thread's doing or its arena's, so that one comes first. */
void fl_threads_lock(void);
void fl_threads_unlock(void);

/* A heap goes with its arena, whichever thread it belonged to. Holds that lock. */
void fl_thread_forget(fl_heap *heap);

/* A new arena, with a slot that no other living arena has. NULL: out of memory, or too many. */
fallow_arena *fl_arena_new(const char *name, const osmem_backend *backend, fallow_arena *parent);

/* Do the program's calls of fallow_… come to this library? Not where another copy of them was loaded before it. */
bool fl_process_api_is_own(void);

/* Stops the process if an arena does not live; `doing` says what was asked ("reset of arena"). Of what was never an arena it knows
 * nothing. */
void fl_arena_check(const fallow_arena *arena, const char *doing);

/* With all arenas below it. */
void fl_arena_destroy(fallow_arena *arena);

/* All blocks are gone; so many bytes of pages stay Ready. The arenas below are not touched. */
void fl_arena_reset(fallow_arena *arena, size_t keep_bytes);

/* One heap serves all callers, one at a time: they need not be looked up. Before the arena is used; false: no memory. */
bool fl_arena_use_by_one_thread(fallow_arena *arena);

/* Has fork take every lock that is not one thread's, from the first call on. May allocate: not for use where
 * an allocation leads. */
void fl_fork_register(void);

#endif
