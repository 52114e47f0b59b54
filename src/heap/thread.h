/* SPDX-License-Identifier: MIT */
/*
 * thread.h: finds a thread's heap in the process's arena, and in every other arena that it has used.
 */
#ifndef FL_THREAD_H
#define FL_THREAD_H

#include "../system/fork.h"
#include "self.h"
#include "startup.h"

/* Gives the calling thread its heap in the process's arena, before it allocates. */
void fl_thread_attach(void);

/*
 * From here to the end of the look-ups, arenas are named by their handles, so that a heap at hand is found
 * without looking at the arena. The handle of an arena that does not live stops the process in the look-up.
 */

/* Returns the calling thread's heap in an arena; NULL if out of memory. Call fl_thread_heap_done when
 * finished with it. */
fl_heap *fl_thread_heap_look_up(const fallow_arena *handle);

/* Ends a heap of the moment, of a thread whose end has been dealt with. */
void fl_thread_moment_over(fl_heap *heap);

static inline void fl_thread_heap_done(fl_heap *heap) {
    if (__builtin_expect(fl_heap_thread(heap) == &fl_thread_ended, 0))
        fl_thread_moment_over(heap);
}

/* The same if the thread used this arena last, and then nothing is to be done afterwards; else NULL. */
static inline fl_heap *fl_thread_heap_recent(const fallow_arena *handle) {
    fl_recent_heap *recent = fl_thread_self;
    return __builtin_expect(atomic_load_explicit(&recent->arena, memory_order_relaxed) == handle, 1)
               ? atomic_load_explicit(&recent->heap, memory_order_relaxed)
               : NULL;
}

/* Returns the one heap of an arena that one thread at a time uses; NULL if it is no such arena. */
static inline fl_heap *fl_thread_heap_of_all(const fallow_arena *handle) {
    const fallow_arena *arena = fl_arena_find(handle);
    return arena ? arena->only_heap : NULL;
}

/* Returns one of these two, or NULL. */
static inline fl_heap *fl_thread_heap_at_hand(const fallow_arena *handle) {
    fl_heap *recent = fl_thread_heap_recent(handle);
    return __builtin_expect(recent != NULL, 1) ? recent : fl_thread_heap_of_all(handle);
}

static inline fl_heap *fl_thread_heap_in(const fallow_arena *handle) {
    fl_heap *heap = fl_thread_heap_at_hand(handle);
    return heap ? heap : fl_thread_heap_look_up(handle);
}

/* The same in the process's arena, which it makes if need be. */
static inline fl_heap *fl_thread_heap_of_process(void) {
    fl_heap *heap = fl_thread_heap;
    if (heap != &fl_empty_heap)
        return heap;
    return fl_process_init() ? fl_thread_heap_in(fl_arena_handle(fl_process_arena)) : NULL;
}

/* Return the calling thread's heap in an arena, or the empty heap if it has none. For freeing. */
fl_heap *fl_thread_heap_look_up_if_any(const fallow_arena *handle);

static inline fl_heap *fl_thread_heap_if_any(const fallow_arena *handle) {
    fl_heap *heap = fl_thread_heap_at_hand(handle);
    return heap ? heap : fl_thread_heap_look_up_if_any(handle);
}

/* Parts the calling thread from its heap in an arena and leaves it to the next. Returns false if the thread
 * is in the middle of a request there. */
bool fl_thread_detach(fallow_arena *arena);

/* Returns a heap that belongs to no thread; NULL if out of memory. */
fl_heap *fl_thread_heap_of_nobody(fallow_arena *arena);

/* Visits the locks of the calling thread's heaps: a signal handler may have interrupted it while it held
 * one. */
void fl_thread_visit_locks(fl_fork_visit *visit);

/* The lock of threads guards which heaps threads have. It is held while a heap ends, with its thread or with
 * its arena, so that one of the two comes first. */
void fl_threads_lock(void);
void fl_threads_unlock(void);

/* Ends all heaps of an arena that ends, whichever threads they belong to. */
void fl_threads_leave(fallow_arena *arena);

#endif
