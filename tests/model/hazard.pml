/* SPDX-License-Identifier: MIT */
/*
 * hazard.pml: a model of how current and parked slabs are taken from an owner that is outside (src/heap/heap.h, reclaim.c), for
 * spin.
 *
 * One heap with one slab of its class. Processes:
 *   owner   allocates and frees on the fast paths, exhausts the slab (parks it), goes back to it or adopts what is abandoned, lets
 *           go of it, by turns
 *   taker   (two, one at a time: upkeep's lock) takes the slab: out of `current` and the table, fence, hazard pointer, settle
 *
 * The owner's "store the hazard pointer, load current (or the tag)" may be seen in the other order, unless the taker's fence has
 * come between: the fence is a step in which no owner is between the two. Its other accesses are single steps.
 *
 * Claims: the owner's line is touched by one at a time, and by who may; a slab is current only as CURRENT; what is claimed is
 * settled; nothing is lost.
 *
 * Seeded bugs, each found by spin with -D: see `grep BUG_`.
 */
#define TURNS 3

mtype = { CURRENT, PARKED, CLAIMED, ABANDONED };
mtype = { NONE, HEAP, BLOCK };

mtype state = CURRENT;
mtype hazard = NONE;
bool current = true;   /* the heap's word for the class says: this slab */
bool linked = false;   /* in the list of parked ones */
bool tag = true;       /* the table says: the owner's */
bool heap_lock = false;
bool upkeep = false;
bool ordering = false; /* the owner is between the store of the hazard pointer and what it reads */
bool claimed = false;  /* in a taker's hands */
byte touching = 0;

#define LOCK(l)   atomic { !l -> l = true }
#define UNLOCK(l) l = false

inline touch() {
    atomic { assert(touching == 0); touching++ };
    touching--
}

/* hazard: what is stored; word: what is read into `has`. */
inline enter(what, word) {
    if
    :: atomic { has = word; ordering = true } ; atomic { hazard = what; ordering = false }
    :: hazard = what; has = word
    fi
}

inline allocate() {
    enter(HEAP, current);
#ifdef BUG_LEAVES_BEFORE_THE_POP
    hazard = NONE;
#endif
    if
    :: has -> touch()
    :: else -> skip
    fi;
    hazard = NONE
}

inline free_one() {
    enter(BLOCK, tag);
    if
    :: has -> touch()
    :: else -> skip /* an atomic push, which touches the word alone */
    fi;
    hazard = NONE
}

/* Exhausted: parks the current slab, or finds another one. */
inline refill() {
    LOCK(heap_lock);
    if
    :: current -> assert(state == CURRENT); touch(); state = PARKED; linked = true; current = false
    :: !current && linked ->
       atomic { if :: state == PARKED -> state = CURRENT; has = true :: else -> has = false fi };
       if :: has -> linked = false; touch(); current = true :: else -> skip fi
    :: else -> skip
    fi;
    UNLOCK(heap_lock);
    atomic { if :: state == ABANDONED -> state = CURRENT; has = true :: else -> has = false fi };
    if
    :: has -> /* adopted: no list knows it */
        touch(); tag = true;
        LOCK(heap_lock); current = true; UNLOCK(heap_lock)
    :: else -> skip
    fi
}

/* A current slab that became empty, and is too much to keep. */
inline let_go() {
    hazard = HEAP;
    has = current;
    if
    :: has ->
#ifndef BUG_LETS_GO_WITHOUT_THE_LOCK
        LOCK(heap_lock);
        has = current;
#endif
        if
        :: has -> current = false; assert(state == CURRENT); state = CLAIMED; tag = false; touch(); state = ABANDONED
        :: else -> skip
        fi;
#ifndef BUG_LETS_GO_WITHOUT_THE_LOCK
        UNLOCK(heap_lock)
#endif
    :: else -> skip
    fi;
    hazard = NONE
}

proctype owner() {
    bool has;
    byte turns = 0;
    do
    :: turns < TURNS ->
        turns++;
        if
        :: allocate()
        :: free_one()
        :: refill()
        :: let_go()
        fi
    :: turns == TURNS -> break
    od
}

proctype taker() {
    LOCK(upkeep);
    if
    :: claimed -> skip /* one that had to wait */
    :: else ->
        LOCK(heap_lock);
        if
        :: current ->
            current = false;
            assert(state == CURRENT);
            state = CLAIMED; claimed = true
        :: !current && linked ->
            atomic { if :: state == PARKED -> state = CLAIMED; claimed = true; linked = false :: else -> skip fi }
        :: else -> skip
        fi;
        if :: claimed -> tag = false :: else -> skip fi;
        UNLOCK(heap_lock)
    fi;
    if
    :: claimed ->
#ifndef BUG_NO_FENCE
        !ordering;
#endif
        if
#ifdef BUG_HEAP_IS_NO_HAZARD
        :: hazard != BLOCK ->
#elif defined(BUG_NO_HAZARD_CHECK)
        :: true ->
#else
        :: hazard == NONE ->
#endif
            touch(); claimed = false; state = ABANDONED
        :: hazard != NONE -> skip /* the next turn's */
        fi
    :: else -> skip
    fi;
    UNLOCK(upkeep)
}

init {
    atomic { run owner(); run taker(); run taker() }
    (_nr_pr == 1);
    assert(touching == 0 && hazard == NONE && !heap_lock);
    assert(current == (state == CURRENT));
    assert(linked == (state == PARKED));
    assert(claimed == (state == CLAIMED))
}
