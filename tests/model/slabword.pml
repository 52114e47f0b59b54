/* SPDX-License-Identifier: MIT */
/*
 * slabword.pml: a model of the protocol of src/slab/slabword.h, for spin.
 *
 * One slab of N blocks, one descriptor that is recycled once it is dead. Processes:
 *   owner      allocates some blocks, parks, frees one by plain push, may let go, ends
 *   pusher     (two) free the blocks that they were handed, by atomic push: a block each, or one of them both at once
 *   scavenger  takes the parked slab from its owner: claim, untag, fence, look at the hazard pointer
 *   adopter    takes a listed slab, or one block of it, which it frees then
 *
 * With -DFORK the first pusher forks before it frees: from one moment on all others have vanished, each wherever it was,
 * and the locks are the child's own; a heap whose lock was held is given up. What is left must be safe: a slab may stay
 * behind in a claim for ever, but no block is lost or handed out twice, and nothing is touched after it is dead.
 *
 * A compare-and-swap is one atomic step. The owner's plain accesses (tag, push, count) are single steps, so
 * that others come in between. Memory is sequentially consistent here; the one place where that is too kind
 * is the owner's "store the hazard pointer, load tag", whose reordering is modelled: the tag may be read first, unless the
 * scavenger's fence has come between (then the owner starts again; a fence is a step in which no owner is
 * between the two).
 *
 * Claims: nobody touches the owner's line but who may (owner_line); no block is lost or handed out twice; the
 * slab dies once, when nothing is live, and nobody touches it afterwards.
 *
 * Seeded bugs, each found by spin with -D: see `grep BUG_`.
 */
#define N 3    /* blocks */
#define FAIR 1 /* free blocks that make a slab worth telling of, or listing */

mtype = { DEAD, CURRENT, PARKED, NOTIFIED, LISTED, FLOATING, CLAIMED };

/* The word. count: pushes not collected while owned, live blocks once published. */
mtype state = CURRENT;
byte pushed = 0;       /* in the remote list */
byte live = 0;         /* meaningful once published */
bool published = false;

/* The owner's line. */
byte used = N;         /* the owner's view: pushed blocks are still used */
byte local_free = 0;
bool tag = true;       /* the table says: the owner's */
bool freeing = false;  /* the owner's hazard pointer points into the slab (how current slabs are taken: hazard.pml) */

/* The heap. */
bool closed = false;   /* notified stack */
bool notified = false;     /* the slab is in it */
bool linked = false;   /* in the owner's list of parked slabs */
bool heap_lock = false;
bool list_lock = false;
bool in_list = false;  /* the arena's */
bool bare = false;     /* a hint: nothing was at hand when it was listed */
byte deaths = 0;
byte touching = 0;     /* who is at work on the owner's line by right of ownership or claim */
byte in_hands = N;     /* blocks that the program holds */
bool forked = false;   /* the first pusher is alone from here on, in the child */
bool lists_lost = false; /* the owner was inside its heap's lock: nobody follows its lists any more */
bool owner_fencing = false; /* the owner is between its store of the hazard pointer and what it read of the tag */

#define LOCK(l)   atomic { !l -> l = true }
#define UNLOCK(l) l = false

inline touch_begin() { atomic { assert(deaths == 0); assert(touching == 0); touching++ } }
inline touch_end()   { touching-- }

/* The claimer's last steps: dead, floating, or listed. */
inline settle() {
    do
    :: atomic { state == CLAIMED && live == 0 ->
           assert(published); assert(in_hands == 0); assert(!in_list); assert(!notified);
           state = DEAD; deaths++; assert(deaths == 1); break }
    :: atomic { state == CLAIMED && live > 0 && live + FAIR > N -> state = FLOATING; break }
    :: (live > 0 && live + FAIR <= N) ->
#ifndef BUG_LISTED_WITHOUT_LOCK
           LOCK(list_lock);
#endif
           /* the compare-and-swap fails if a push came in between; here: if the last block went */
           if
           :: atomic { live > 0 -> state = LISTED; if :: bare = true :: bare = false fi };
#ifdef BUG_LISTED_WITHOUT_LOCK
              LOCK(list_lock);
#endif
              in_list = true; UNLOCK(list_lock); break
           :: live == 0 ->
#ifndef BUG_LISTED_WITHOUT_LOCK
              UNLOCK(list_lock)
#else
              skip
#endif
           fi
    od
}

inline publish() { atomic { live = used - pushed; published = true } }

/* By the owner, or by a pusher that found the stack closed: from a given state. ok says whether it did. */
inline let_go(from, ok) {
    atomic {
        if
        :: state == from -> state = CLAIMED; live = used - pushed; published = true; ok = true
        :: else -> ok = false
        fi
    }
    if
    :: ok -> touch_begin(); linked = false; tag = false; touch_end(); settle()
    :: else -> skip
    fi
}

inline take_notified() {
    if
    :: atomic { notified -> notified = false; assert(state == NOTIFIED); state = PARKED }
    :: else -> skip
    fi
}

/* A free by the owner's thread of a block that it holds. */
inline owner_free() {
    /* store the hazard pointer; load tag: may be seen in either order unless the scavenger's fence comes between */
    if
    :: atomic { mine = tag; owner_fencing = true } ; atomic { freeing = true; owner_fencing = false }
    :: freeing = true; mine = tag
    fi;
    if
    :: mine ->
        atomic { assert(deaths == 0); assert(touching == 0); touching++ }
        local_free++;
        atomic { used--; in_hands--; touching-- }
        freeing = false
    :: else -> freeing = false; push(1)
    fi
}

/* The atomic push of some blocks, and the duty that it brings. */
inline push(blocks) {
    duty = DEAD;
    atomic {
        assert(deaths == 0 && state != DEAD); /* a live block holds its slab */
        in_hands = in_hands - blocks;
        pushed = pushed + blocks;
        if :: published -> live = live - blocks :: else -> skip fi;
        if
#ifdef BUG_PUSH_TELLS_EACH_TIME
        :: state == PARKED && pushed >= FAIR -> state = NOTIFIED; duty = NOTIFIED
        :: state == NOTIFIED -> duty = NOTIFIED
#else
        :: state == PARKED && pushed - blocks < FAIR && pushed >= FAIR -> state = NOTIFIED; duty = NOTIFIED
#endif
        :: state == FLOATING && live + FAIR <= N -> state = CLAIMED; duty = FLOATING
        :: state == LISTED && live == 0 -> state = CLAIMED; duty = LISTED
        :: state == LISTED && live > 0 && bare -> state = CLAIMED; duty = LISTED /* to be listed anew */
        :: else -> skip
        fi
    }
    if
    :: duty == NOTIFIED ->
        if
        :: atomic { !closed -> assert(!notified); notified = true }
        :: closed ->
#ifndef BUG_ORPHAN_WITHOUT_LOCK
            LOCK(heap_lock); UNLOCK(heap_lock);
#endif
            assert(!linked || lists_lost);
            let_go(NOTIFIED, gone); assert(gone)
        fi
    :: duty == FLOATING -> settle()
    :: duty == LISTED -> LOCK(list_lock); assert(in_list); in_list = false; UNLOCK(list_lock); settle()
    :: else -> skip
    fi
}

/* Takes the parked slab from its owner. */
inline scavenge() {
    taken = false;
    LOCK(heap_lock);
    if
    :: !closed ->
        take_notified();
#ifdef BUG_FORK_FOLLOWS_LOST_LISTS
        atomic { if :: linked && state == PARKED -> assert(!lists_lost);
#else
        atomic { if :: linked && !lists_lost && state == PARKED ->
#endif
                    state = CLAIMED; linked = false; taken = true
                 :: else -> skip
                 fi }
    :: else -> skip
    fi;
    if :: taken -> tag = false :: else -> skip fi;
    UNLOCK(heap_lock);
    if
    :: taken ->
#ifndef BUG_NO_FENCE
        !owner_fencing; /* the fence: no owner is between its store and its load */
#endif
#ifndef BUG_NO_QUIET_CHECK
        !freeing;       /* else: the next tick */
#endif
        touch_begin(); publish(); touch_end();
        settle()
    :: else -> skip
    fi
}

/* fork: takes the lists' lock, not the heap's. What others were in the middle of stays as it is. */
inline fork_here() {
    atomic {
        !list_lock -> forked = true;
        lists_lost = heap_lock;
        heap_lock = false; freeing = false; owner_fencing = false; touching = 0
    }
}

proctype pusher(bool forks; byte blocks) {
    bool gone, taken;
    mtype duty;
    {
        if
#ifdef FORK
        :: forks -> fork_here()
#endif
        :: skip
        fi;
        if
        :: blocks > 0 -> push(blocks)
        :: else -> skip
        fi;
#ifdef FORK
        if
        :: forks && forked -> scavenge()
        :: else -> skip
        fi
#endif
    } unless { forked && !forks }
}

proctype owner() {
    bool gone, mine, holds_one = true;
    mtype duty;
    {
    /* exhausted: park, unless something was pushed meanwhile: then collect first */
    LOCK(heap_lock);
    do
    :: atomic { pushed == 0 -> state = PARKED; linked = true; break }
    :: atomic { pushed > 0 -> used = used - pushed; local_free = local_free + pushed; pushed = 0 }
    od;
    UNLOCK(heap_lock);
    /* frees a block of its own, or keeps it for others to free when the thread has ended */
    if
    :: owner_free(); holds_one = false
    :: skip
    fi;
    /* drained: lets go if it is still its own, as in parked_drained */
    if
    :: freeing = true; LOCK(heap_lock);
       if
       :: tag && linked -> take_notified();
#ifdef BUG_LET_GO_OF_NOTIFIED
            if :: state == PARKED || state == NOTIFIED -> state = PARKED; let_go(PARKED, gone) :: else -> skip fi
#else
            let_go(PARKED, gone)
#endif
       :: else -> skip
       fi;
       UNLOCK(heap_lock); freeing = false
    :: skip
    fi;
    /* the thread ends */
    freeing = false;
    LOCK(heap_lock);
    closed = true;
    take_notified();
    if
    :: linked -> let_go(PARKED, gone); linked = false
    :: else -> skip
    fi;
    UNLOCK(heap_lock);
    if
    :: holds_one -> push(1)
    :: else -> skip
    fi
    } unless { forked }
}

proctype scavenger() {
    bool taken;
    { scavenge() } unless { forked }
}

/* Who claims a listed slab: an adopter, or the scavenger that purges it and lists it again; or who takes one block of it, at a limit:
 * the slab stays in the list for that, or leaves it. */
proctype adopter() {
    bool got = false, one = false, last, gone;
    mtype duty;
    {
    LOCK(list_lock);
    atomic { if :: in_list && state == LISTED -> state = CLAIMED; got = true :: else -> skip fi };
    if
    :: got -> in_list = false
    :: got ->
        one = true;
        touch_begin(); touch_end();
        atomic {
            live++; in_hands++; pushed = 0;
            last = live + FAIR > N;
            state = (last -> FLOATING : LISTED)
        };
#ifndef BUG_TAKEN_AND_LEFT_IN_THE_LIST
        if :: last -> in_list = false :: else -> skip fi
#endif
    :: else -> skip
    fi;
    UNLOCK(list_lock);
    if
    :: one -> push(1)
    :: got && !one ->
        touch_begin(); local_free = local_free + 0; touch_end();
        /* it would allocate from it now; here it gives it up again at once */
        settle()
    :: else -> skip
    fi
    } unless { forked }
}

init {
    atomic {
        run owner(); run scavenger(); run adopter();
        if
        :: run pusher(true, 1); run pusher(false, 1)
        :: run pusher(true, 2)
        :: run pusher(true, 0); run pusher(false, 2)
        fi
    }
    /* when all have ended, every block has been freed exactly once and the slab is dead */
    (_nr_pr == 1);
    if :: forked -> goto end_of_child :: else -> skip fi;
    assert(in_hands == 0);
    assert(deaths == 1);
    assert(!in_list && !notified && !linked);
end_of_child:
    skip
}
