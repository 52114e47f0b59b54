/* SPDX-License-Identifier: MIT */
/*
 * upkeep.h: which arenas are looked after, whose turn it is, and who is at work in one.
 *
 * An arena joins when it is made, and leaves before it ends. It is due when it has gained something to give back or to use
 * again; those that are due stand in a queue, which ticks work off by turns. So what a tick costs depends on how many arenas
 * have something, not on how many there are.
 *
 * Upkeep of one arena is one thread's at a time: between fl_upkeep_begin and fl_upkeep_end, across the system calls in
 * between. No other lock is held across these, so that upkeep of one arena never waits for that of another.
 *
 * Threads: any. The queue has a lock of its own, for a few instructions at a time. A thread that is about to wait for an arena
 * pins it first: who leaves waits until nobody does.
 */
#ifndef FL_UPKEEP_H
#define FL_UPKEEP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../system/lock.h"

#define FL_UPKEEP_MAX 65536 /* arenas at a time */

/* Room for one upkeep's lists of pages and slabs, so that they are no load for the stack of whoever called free. */
typedef struct fl_workspace {
    struct fl_workspace *next;
    _Alignas(64) char pages[4096];  /* of the floor of pages */
    _Alignas(64) char blocks[8192]; /* of the floor above */
} fl_workspace;

/* An arena's part. */
typedef struct fl_upkeep {
    fl_lock lock; /* held by who is at work in the arena */
    fl_workspace *workspace;
    bool gained; /* something was noted, that a look at everything has not begun to look for */
    /* These are guarded by the queue's lock. */
    bool joined;
    uint32_t place;         /* among all that have joined */
    uint32_t pins;          /* threads that wait for the lock, or hold it */
    uint32_t pauses;        /* so many want the arena to be left alone */
    uint64_t turn;          /* the last round in which it had its turn */
    struct fl_upkeep *next; /* in the queue */
    struct fl_upkeep *previous;
    /* Last, beside what else of an arena is looked at often. */
    _Atomic bool noted; /* something was gained since the last turn began */
    _Atomic bool due;   /* in the queue; written with the queue's lock */
} fl_upkeep;

void fl_upkeep_init(fl_upkeep *upkeep);

/* False: there are too many. */
bool fl_upkeep_join(fl_upkeep *upkeep);

/* Nobody is at work in the arena from here on, nor will be, until it joins again. Who has left already may leave once more. */
void fl_upkeep_leave(fl_upkeep *upkeep);

/* Does the first half of that: nobody comes by the arena any more. Returns whether somebody is in it yet, for whom the whole waits. */
bool fl_upkeep_part(fl_upkeep *upkeep);

/* Something was gained that could be given back, or used again: the arena's turn will come. One load where that is known. */
void fl_upkeep_note(fl_upkeep *upkeep);

/* Nobody works in the arena between these two, which may be nested. What is due stays so. */
void fl_upkeep_pause(fl_upkeep *upkeep);
void fl_upkeep_go_on(fl_upkeep *upkeep);

/* Waits until the arena's upkeep is the caller's. False: it is paused, has not joined, or there is no memory for a workspace. */
bool fl_upkeep_begin(fl_upkeep *upkeep);
void fl_upkeep_end(fl_upkeep *upkeep);

/* Lets others do what they wait for; for who works long, between its batches. False: as fl_upkeep_begin, and it has ended. */
bool fl_upkeep_yield(fl_upkeep *upkeep);

/* Is it the calling thread's? For assertions of a checking build; true in others. */
static inline bool fl_upkeep_is_mine(const fl_upkeep *upkeep) {
    return fl_lock_is_mine(&upkeep->lock);
}

/*
 * The next in the queue that had no turn in this round; NULL: all had. Its upkeep is the caller's, who says at its end whether
 * it stays due. Who is paused, or in other hands, stays in the queue for the next round.
 */
uint64_t fl_upkeep_new_round(void);
fl_upkeep *fl_upkeep_next_turn(uint64_t round);
void fl_upkeep_end_turn(fl_upkeep *upkeep, bool stays_due);

/* How many are in the queue. */
size_t fl_upkeep_due(void);

/* The next that has joined, from *place on, and that fits; its upkeep is the caller's. *place is then where to go on. NULL: there
 * is none. fits runs with the queue's lock. */
typedef bool fl_upkeep_fits(const fl_upkeep *upkeep, const void *context);
fl_upkeep *fl_upkeep_next(size_t *place, fl_upkeep_fits *fits, const void *context);

/* The same, but no work is done in it: it is only kept from leaving until fl_upkeep_let_go. */
fl_upkeep *fl_upkeep_hold_next(size_t *place, fl_upkeep_fits *fits, const void *context);
void fl_upkeep_let_go(fl_upkeep *upkeep);

/* Shows all that have joined, in no order, with the queue's lock, which others have in between. */
typedef void fl_upkeep_visit(const fl_upkeep *upkeep, void *context);
void fl_upkeep_each(fl_upkeep_visit *visit, void *context);

/* Whoever works is to come to the end of its batch: somebody forks. */
void fl_upkeep_hurry(bool hurry);
bool fl_upkeep_is_hurried(void);

/* In the child of a fork, with its locks: the threads that waited, wanted pauses, or were noting something, are not here. */
void fl_upkeep_fork_child(void);

#endif
