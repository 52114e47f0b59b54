/* SPDX-License-Identifier: MIT */
/*
 * batches.pml: a model of how what a thread has gathered is handed over by it or by others (src/heap/batches.h), for spin.
 *
 * One heap and its batches, as a number of blocks. Processes:
 *   owner     frees some blocks of other owners, by gathering or one by one, and parts with the heap
 *   asker     somebody who wants to know, or to have, what is free
 *   limit     the same for an arena that has come to its limit: from then on nothing may be gathered
 *
 * The owner's "store the hazard pointer, load whether the batches are closed, or the arena scarce" may be seen in the other order,
 * unless the other's fence has come between: the fence is a step in which the owner is not between the two.
 *
 * Claims: one at a time is at the batches; each block is handed over once; at a limit nothing is left behind, unless the owner was
 * seen inside, which is said; when the owner has parted with the heap nothing is left either.
 *
 * Seeded bugs, each found by spin with -D: see `grep BUG_`.
 */
#define BLOCKS 4
#define FULL 2

byte gathered = 0;
byte handed = 0;
bool inside = false;     /* the owner's hazard pointer says "the heap" */
bool closed = false;
bool scarce = false;
bool heaps_lock = false;
bool ordering = false;   /* the owner is between the store of the hazard pointer and what it reads */
bool in_hands = false;   /* said by the limit: ask again */
bool looked = false;     /* the limit has been there, and nothing was in the owner's hands */
byte touching = 0;

#define LOCK(l)   atomic { !l -> l = true }
#define UNLOCK(l) l = false

inline hand_over_all() {
    atomic { assert(touching == 0); touching++ };
    handed = handed + gathered;
    gathered = 0;
    touching--
}

proctype owner() {
    bool keeps;
    byte freed = 0;
    do
    :: freed < BLOCKS ->
        freed++;
        if
        :: atomic { keeps = !closed && !scarce; ordering = true }; atomic { inside = true; ordering = false }
        :: inside = true; keeps = !closed && !scarce
        fi;
#ifdef BUG_CLOSED_IS_NOT_READ
        keeps = true;
#endif
        if
        :: keeps ->
            atomic { assert(touching == 0); touching++ };
            gathered++;
            if
            :: gathered == FULL -> gathered = 0; touching--; inside = false; handed = handed + FULL
            :: else -> touching--; inside = false
            fi
        :: else -> inside = false; handed++
        fi
    :: freed == BLOCKS -> break
    od;
#ifndef BUG_PARTS_WITHOUT_HANDING_OVER
#ifdef BUG_PARTS_WITHOUT_THE_LOCK
    hand_over_all();
#else
    LOCK(heaps_lock); hand_over_all(); UNLOCK(heaps_lock);
#endif
#endif
}

inline flush() {
    LOCK(heaps_lock);
    closed = true;
#ifndef BUG_NO_FENCE
    !ordering;
#endif
#ifdef BUG_OPENS_TOO_SOON
    closed = false;
#endif
    if
#ifdef BUG_NO_HAZARD_CHECK
    :: true -> hand_over_all(); seen = false
#else
    :: inside -> seen = true
    :: !inside -> hand_over_all(); seen = false
#endif
    fi;
    closed = false;
    UNLOCK(heaps_lock)
}

proctype asker() {
    bool seen;
    flush()
}

proctype limit() {
    bool seen = true;
    if
    :: skip -> scarce = true
    :: skip -> goto stays_away
    fi;
    do
    :: seen -> flush()
    :: !seen -> looked = true; break
    od;
stays_away: skip
}

/* At a limit, and nothing was said to be in the owner's hands. */
#define NOTHING_IS_LEFT (!looked || gathered == 0)

active proctype watch() {
end:
    atomic { !NOTHING_IS_LEFT -> assert(false) }
}

init {
    atomic { run owner(); run asker(); run limit() }
    (_nr_pr == 2); /* the watch */
    assert(touching == 0 && !inside && gathered == 0 && handed == BLOCKS)
}
