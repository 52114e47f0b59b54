/* SPDX-License-Identifier: MIT */
/*
 * held.h: tracks, in a checking build, which locks the calling thread holds, and stops the process with one
 * line that names both locks when one is taken against the order of lockranks.h. A program built with
 * FL_LOCK_STATS defines these functions itself (bench/memory/locks.c). In other builds all of it compiles to
 * nothing.
 */
#ifndef FL_HELD_H
#define FL_HELD_H

#include <stdbool.h>

#include "fatal.h"
#include "lockranks.h"

#if FL_CHECKS >= 2 || defined FL_LOCK_STATS
#define FL_LOCKS_ARE_SEEN 1
#else
#define FL_LOCKS_ARE_SEEN 0
#endif

#if FL_LOCKS_ARE_SEEN

/* Called before a thread waits for a lock, once it has it, and before it drops it. */
void fl_held_want(const void *lock, fl_rank rank);
void fl_held_add(const void *lock, fl_rank rank);
void fl_held_remove(const void *lock, fl_rank rank);
bool fl_held_is(const void *lock);

#else

static inline void fl_held_want(const void *lock, fl_rank rank) {
    (void)lock, (void)rank;
}

static inline void fl_held_add(const void *lock, fl_rank rank) {
    (void)lock, (void)rank;
}

static inline void fl_held_remove(const void *lock, fl_rank rank) {
    (void)lock, (void)rank;
}

static inline bool fl_held_is(const void *lock) {
    (void)lock;
    return true;
}

#endif

#endif
