/* SPDX-License-Identifier: MIT */
/*
 * self.h: what the calling thread is to fallow: two words of thread-local storage, and the record that one of them leads to.
 */
#ifndef FL_SELF_H
#define FL_SELF_H

#include "heap.h"

/*
 * The arena that the thread used last, and its heap there. Written by the thread, and by who ends an arena that the thread does
 * not use: whichever parts of two writes remain, they are a pair that was written, or one of them is NULL. Relaxed for that
 * reason.
 */
typedef struct fl_recent_heap {
    _Atomic(const fallow_arena *) arena; /* its handle: compared as the program gives it */
    _Atomic(fl_heap *) heap;
} fl_recent_heap;

/* See thread.c, which makes it. */
typedef struct fl_thread {
    fl_recent_heap recent;  /* first: read without knowing the rest */
    struct fl_thread *next; /* recycled ones */
    fl_heap *process_heap;
    struct fl_directory *directory; /* NULL: no arena but the process's was ever used */
} fl_thread;

/* How thread-local storage is reached is the build's choice: initial-exec in libfallow-malloc, the general
 * model in libfallow, which may be loaded late. Two words, so that it fits where there is little room. */
extern _Thread_local fl_heap *fl_thread_heap;        /* in the process's arena; never NULL */
extern _Thread_local fl_recent_heap *fl_thread_self; /* never NULL: the head of the thread's record */

/* What stands for a thread that has no record yet, and for one whose end has been seen to: what that still allocates is from
 * a heap of the moment. Nobody writes either. */
extern fl_thread fl_thread_unknown;
extern fl_thread fl_thread_ended;

/* The calling thread's, or one of these two. */
static inline fl_thread *fl_thread_self_record(void) {
    return (fl_thread *)fl_thread_self; /* its first member */
}

/* The calling thread's record, for fl_heap_thread; NULL: its end has been seen to, and what belongs to that one is many threads'. */
static inline const fl_thread *fl_thread_record(void) {
    return fl_thread_self_record() == &fl_thread_ended ? NULL : fl_thread_self_record();
}

#endif
