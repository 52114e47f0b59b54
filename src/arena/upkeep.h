/* SPDX-License-Identifier: MIT */
/*
 * upkeep.h: which arenas are looked after, whose turn it is, and who is at work in one.
 *
 * An arena joins when it is made, and leaves before it ends. It is due when it has gained something to give
 * back or to use again. Due arenas stand in a queue, which ticks work off by turns, so a tick costs as much
 * as there are arenas with something to do, not as there are arenas.
 *
 * One thread at a time has the upkeep of an arena: from fl_upkeep_begin to fl_upkeep_end, across the system
 * calls in between. The only other lock that it holds across one is its arena's ground lock, where a region
 * leaves: so upkeep of one arena never waits for that of another.
 *
 * Threads: any. The queue has a lock of its own, for a few instructions at a time. A thread that is about to
 * wait for an arena pins it first; leaving waits until nobody has it pinned.
 */
#ifndef FL_UPKEEP_H
#define FL_UPKEEP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../system/lock.h"

#define FL_UPKEEP_MAX 65536 /* arenas at a time */

/* Room for one upkeep's lists of pages and slabs, to spare the stack of whoever called free. */
typedef struct fl_workspace {
    struct fl_workspace *next;
    _Alignas(64) char pages[4096];  /* of the floor of pages */
    _Alignas(64) char blocks[8192]; /* of the floor above */
} fl_workspace;

/* An arena's part. */
typedef struct fl_upkeep {
    fl_lock lock; /* held by who is at work in the arena */
    fl_workspace *workspace;
    bool gained; /* something was noted, and no look at everything has begun since */
    /* Guarded by the queue's lock, down to `previous`. */
    bool joined;
    uint32_t place;         /* among all that have joined */
    uint32_t pins;          /* threads that wait for the lock, or hold it */
    uint32_t pauses;        /* how many want the arena left alone */
    uint64_t turn;          /* the last round in which it had its turn */
    struct fl_upkeep *next; /* in the queue */
    struct fl_upkeep *previous;
    /* Last, beside what else of an arena is looked at often. */
    _Atomic bool noted; /* something was gained since the last turn began */
    _Atomic bool due;   /* in the queue; written under the queue's lock */
} fl_upkeep;

void fl_upkeep_init(fl_upkeep *upkeep);

/* Returns false if there are too many. */
bool fl_upkeep_join(fl_upkeep *upkeep);

/* Keeps everybody from working in the arena until it joins again; waits for those who do. May be called
 * again. */
void fl_upkeep_leave(fl_upkeep *upkeep);

/* Does the first half of that: nobody comes by the arena any more. Returns whether somebody is still in it,
 * for whom the second half would wait. */
bool fl_upkeep_part(fl_upkeep *upkeep);

/* Notes that something was gained that could be given back, or used again: the arena's turn will come. One
 * load if that is known. */
void fl_upkeep_note(fl_upkeep *upkeep);

/* Bracket a time when nobody works in the arena; may be nested. What is due stays so. */
void fl_upkeep_pause(fl_upkeep *upkeep);
void fl_upkeep_go_on(fl_upkeep *upkeep);

/* Waits until the arena's upkeep is the caller's. Returns false if it is paused, has not joined, or there is
 * no memory for a workspace. */
bool fl_upkeep_begin(fl_upkeep *upkeep);
void fl_upkeep_end(fl_upkeep *upkeep);

/* Lets others in that wait, between batches of long work. Returns false like fl_upkeep_begin; the upkeep has
 * then ended. */
bool fl_upkeep_yield(fl_upkeep *upkeep);

/* Returns whether it is the calling thread's. For assertions: true in a build that does not check. */
static inline bool fl_upkeep_is_mine(const fl_upkeep *upkeep) {
    return fl_lock_is_mine(&upkeep->lock);
}

/*
 * Returns the next in the queue that had no turn in this round; NULL if all had. Its upkeep is the caller's,
 * who says at the end whether it stays due. Arenas that are paused, or in other hands, stay in the queue for
 * the next round.
 */
uint64_t fl_upkeep_new_round(void);
fl_upkeep *fl_upkeep_next_turn(uint64_t round);
void fl_upkeep_end_turn(fl_upkeep *upkeep, bool stays_due);

size_t fl_upkeep_due(void);

/* Returns the next that has joined, from *place on, and fits; its upkeep is the caller's. *place becomes
 * where to go on. Returns NULL if there is none. `fits` runs under the queue's lock. */
typedef bool fl_upkeep_fits(const fl_upkeep *upkeep, const void *context);
fl_upkeep *fl_upkeep_next(size_t *place, fl_upkeep_fits *fits, const void *context);

/* The same, but without its upkeep: it only cannot leave until fl_upkeep_let_go. */
fl_upkeep *fl_upkeep_hold_next(size_t *place, fl_upkeep_fits *fits, const void *context);
void fl_upkeep_let_go(fl_upkeep *upkeep);

/* Shows all that have joined, in no order, under the queue's lock, which is dropped now and then. */
typedef void fl_upkeep_visit(const fl_upkeep *upkeep, void *context);
void fl_upkeep_each(fl_upkeep_visit *visit, void *context);

/* Asks whoever works to come to the end of its batch: somebody forks. */
void fl_upkeep_hurry(bool hurry);
bool fl_upkeep_is_hurried(void);

/* For the child of a fork, under its locks: the threads that hurried others, or were noting something, are
 * not here. */
void fl_upkeep_fork_child(void);

/* Likewise, for each arena, joined or not: threads that waited in it or wanted pauses are not here, and
 * whoever resets or ends it would wait for them for ever. */
void fl_upkeep_fork_child_of(fl_upkeep *upkeep);

#endif
