/* SPDX-License-Identifier: MIT */
/*
 * thread.h: what fallow knows of a thread: its heap in the process's own arena, and in every other arena
 * that it has used.
 */
#ifndef FL_THREAD_H
#define FL_THREAD_H

#include "../system/fork.h"
#include "self.h"
#include "startup.h"

/* Gives the calling thread its heap in the process's arena before it allocates. */
void fl_thread_attach(void);

/* Arenas are named by their handles from here to the end of the look-ups: what is at hand is found without asking whose they are. One
 * that does not live stops the process there. */

/* The calling thread's heap in an arena. NULL: out of memory. fl_thread_heap_done when finished with it. */
fl_heap *fl_thread_heap_look_up(const fallow_arena *handle);

/* The end of a heap of the moment: of a thread whose end has been seen to. */
void fl_thread_moment_over(fl_heap *heap);

static inline void fl_thread_heap_done(fl_heap *heap) {
    if (__builtin_expect(fl_heap_thread(heap) == &fl_thread_ended, 0))
        fl_thread_moment_over(heap);
}

/* The same where it is the arena that the thread used last, with nothing to be done afterwards; NULL: it is not. */
static inline fl_heap *fl_thread_heap_recent(const fallow_arena *handle) {
    fl_recent_heap *recent = fl_thread_self;
    return __builtin_expect(atomic_load_explicit(&recent->arena, memory_order_relaxed) == handle, 1)
               ? atomic_load_explicit(&recent->heap, memory_order_relaxed)
               : NULL;
}

/* The heap that serves all callers in an arena, of one thread at a time; NULL: there is none. */
static inline fl_heap *fl_thread_heap_of_all(const fallow_arena *handle) {
    const fallow_arena *arena = fl_arena_find(handle);
    return arena ? arena->only_heap : NULL;
}

/* One of these two. */
static inline fl_heap *fl_thread_heap_at_hand(const fallow_arena *handle) {
    fl_heap *recent = fl_thread_heap_recent(handle);
    return __builtin_expect(recent != NULL, 1) ? recent : fl_thread_heap_of_all(handle);
}

static inline fl_heap *fl_thread_heap_in(const fallow_arena *handle) {
    fl_heap *heap = fl_thread_heap_at_hand(handle);
    return heap ? heap : fl_thread_heap_look_up(handle);
}

/* The same in the process's arena, which comes into being if need be. */
static inline fl_heap *fl_thread_heap_of_process(void) {
    fl_heap *heap = fl_thread_heap;
    if (heap != &fl_empty_heap)
        return heap;
    return fl_process_init() ? fl_thread_heap_in(fl_arena_handle(fl_process_arena)) : NULL;
}

/* The calling thread's heap in an arena, or the empty heap where it has none. For freeing. */
fl_heap *fl_thread_heap_look_up_if_any(const fallow_arena *handle);

static inline fl_heap *fl_thread_heap_if_any(const fallow_arena *handle) {
    fl_heap *heap = fl_thread_heap_at_hand(handle);
    return heap ? heap : fl_thread_heap_look_up_if_any(handle);
}

/* The calling thread parts with its heap in an arena, for the next one that comes. False: it is in the middle of a request there. */
bool fl_thread_detach(fallow_arena *arena);

/* A heap that belongs to no thread. NULL: out of memory. */
fl_heap *fl_thread_heap_of_nobody(fallow_arena *arena);

/* The locks of the calling thread's heaps: a signal handler may have interrupted it with one of them. */
void fl_thread_visit_locks(fl_fork_visit *visit);

/* Which heaps threads have: held while one goes, by its thread's doing or its arena's, so that one comes first. */
void fl_threads_lock(void);
void fl_threads_unlock(void);

/* All heaps of an arena that ends go with it, whichever threads they belonged to. */
void fl_threads_leave(fallow_arena *arena);

#endif
