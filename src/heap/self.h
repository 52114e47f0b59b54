/* SPDX-License-Identifier: MIT */
/*
 * self.h: what fallow keeps of the calling thread: two words of thread-local storage, and the record that one
 * of them leads to.
 */
#ifndef FL_SELF_H
#define FL_SELF_H

#include "heap.h"

/*
 * The arena that the thread used last, and its heap there. The thread writes it, and so does whoever ends an
 * arena that the thread is not using. Whatever parts of two writes remain, they form a pair that was written,
 * or one of them is NULL; hence relaxed.
 */
typedef struct fl_recent_heap {
    _Atomic(const fallow_arena *) arena; /* its handle, as the program passes it */
    _Atomic(fl_heap *) heap;
} fl_recent_heap;

/* A thread's record; thread.c makes it. */
typedef struct fl_thread {
    fl_recent_heap recent;  /* first, so that it can be read without knowing the rest */
    struct fl_thread *next; /* recycled ones */
    fl_heap *process_heap;
    struct fl_directory *directory; /* NULL: the thread has used no arena but the process's */
} fl_thread;

/* The build chooses how thread-local storage is reached: initial-exec in libfallow-malloc, the general model
 * in libfallow, which may be loaded late. Two words fit even where there is little room. */
extern _Thread_local fl_heap *fl_thread_heap;        /* in the process's arena; never NULL */
extern _Thread_local fl_recent_heap *fl_thread_self; /* never NULL: the head of the thread's record */

/* Stand for a thread that has no record yet, and for one whose end has been dealt with; what the latter still
 * allocates comes from a heap of the moment. Nobody writes to either. */
extern fl_thread fl_thread_unknown;
extern fl_thread fl_thread_ended;

/* Returns the calling thread's record, or one of these two. */
static inline fl_thread *fl_thread_self_record(void) {
    return (fl_thread *)fl_thread_self; /* its first member */
}

/* Returns the calling thread's record, for fl_heap_thread; NULL if its end has been dealt with, since many
 * threads share that record. */
static inline const fl_thread *fl_thread_record(void) {
    return fl_thread_self_record() == &fl_thread_ended ? NULL : fl_thread_self_record();
}

#endif
