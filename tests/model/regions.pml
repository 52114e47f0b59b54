/* SPDX-License-Identifier: MIT */
/*
 * regions.pml: a model of the ground of arenas (src/arena/window.h, regions.c, growth.c, pages.c, scavenge.c), for spin.
 *
 *     free ──▶ taken ──▶ owned ⇄ growing ──▶ leaving ──▶ free, or kept by the system ──▶ taken …
 *
 * Two arenas, and regions of two chunks, of a page each. Region 0 is A's and full; region 1 is A's, with one page in use and one
 * that is not mapped; region 2 is nobody's. Processes:
 *   granter    (one in each arena) is granted a page, with growth, with another region where there is no room; returns it
 *   extender   grows a block of A's, from the end of region 0 into the whole of region 1; returns what it got
 *   returner   returns the page of region 1
 *   scavenger  has turns of both arenas, in quiet moments: gives back what is idle, releases regions that are empty; once it unmaps
 *              what is free and Prepared
 *   forker     looks, at any moment at which it could have the locks that fork takes, at what the child would begin with
 *
 * What is done under an arena's own lock is one step here. The ground lock and the arena's upkeep are held from step to step, and
 * system calls lie between: a step takes a lock with the first thing that is done under it, and drops it with the last. The system
 * may refuse growth, and once the end of a mapping.
 *
 * Claims: a page has one holder, which has memory behind it, in a region of its arena that does not leave; a region has one
 * owner; nothing is mapped or released twice; a fork finds no region between two owners, no chunk half-way and no page in
 * upkeep's hands; a region of which something was granted leaves when nothing is in use.
 *
 * Seeded bugs, each found by spin with -D: see `grep BUG_`.
 */
#define REGIONS 3
#define PER_REGION 2
#define PAGES 6
#define NOWHERE PAGES

#define A 0
#define B 1
#define NOBODY 2

mtype = { NONE, PREPARED, READY };
mtype = { GROWS, MAPS, ADDS, ENDS };

/* What the books say. */
byte owner[REGIONS];
bool taken[REGIONS];  /* in the window */
bool kept[REGIONS];   /* nobody's, with something that the system did not take */
bool mapped[PAGES];
bool growing[PAGES];
bool in_use[PAGES];
bool prepared[PAGES];

/* What is so. */
mtype memory[PAGES];
bool held[PAGES];
bool leaving[REGIONS];
bool used[REGIONS];   /* something was granted there since its arena has it */

bool ground[2];
bool upkeep[2];
bool noted[2];
byte running;
bool refused_once = false;

#define IDLE(page) (mapped[page] && !in_use[page] && !prepared[page])

/* The lowest free page of an arena. */
inline find(a, page) {
    page = 0;
    do
    :: page < PAGES && !(owner[page / PER_REGION] == a && !in_use[page]) -> page++
    :: else -> break
    od
}

inline take(a, page) {
    assert(!held[page] && !in_use[page]);
    assert(mapped[page] && memory[page] != NONE);
    assert(owner[page / PER_REGION] == a && taken[page / PER_REGION] && !leaving[page / PER_REGION]);
    in_use[page] = true; held[page] = true; prepared[page] = false; memory[page] = READY;
    used[page / PER_REGION] = true
}

/* Where no more can be mapped: what is. */
inline take_mapped(a, page) {
    page = 0;
    do
    :: page < PAGES && !(owner[page / PER_REGION] == a && !in_use[page] && mapped[page]) -> page++
    :: else -> break
    od;
    if :: page < PAGES -> take(a, page) :: else -> skip fi
}

inline give(a, page) {
    assert(held[page] && in_use[page] && memory[page] == READY && owner[page / PER_REGION] == a);
    held[page] = false; in_use[page] = false
}

/* The second half of take_step in growth.c; the first is one step with what found the page. */
inline grow(page, grown) {
    assert(growing[page] && in_use[page] && !leaving[page / PER_REGION]);
    growing[page] = false; in_use[page] = false;
    if
    :: grown -> assert(memory[page] == NONE); memory[page] = PREPARED; mapped[page] = true; prepared[page] = true
    :: else -> skip
    fi
}

inline begin_growth(page) {
    assert(!growing[page] && !mapped[page] && !in_use[page] && !leaving[page / PER_REGION]);
    growing[page] = true; in_use[page] = true
}

/* The lowest region that is free or kept. */
inline window_take(r) {
    r = 0;
    do
    :: r < REGIONS && taken[r] && !kept[r] -> r++
    :: else -> break
    od;
    if
    :: r < REGIONS -> assert(!leaving[r] && owner[r] == NOBODY); taken[r] = true; kept[r] = false
    :: else -> skip
    fi
}

inline window_give(r) {
    assert(taken[r] && !kept[r] && owner[r] == NOBODY);
    leaving[r] = false;
    if
    :: mapped[r * PER_REGION] || mapped[r * PER_REGION + 1] ->
        kept[r] = true;
#ifdef BUG_KEPT_IS_FORGOTTEN
        mapped[r * PER_REGION] = false; mapped[r * PER_REGION + 1] = false
#endif
    :: else -> taken[r] = false
    fi
}

/* fl_pages_try, of one page. */
proctype granter(byte a) {
    byte page = NOWHERE, r = 0;
    mtype next;
    d_step {
        find(a, page);
        if
        :: page < PAGES && mapped[page] -> take(a, page); next = ENDS
        :: else -> next = GROWS
        fi
    };
    if
    :: next == GROWS -> d_step { !ground[a] -> ground[a] = true }
    :: else -> goto granted
    fi;
    do
    :: d_step { next == GROWS ->
#ifdef BUG_GROWTH_DOES_NOT_LOOK_AGAIN
            if :: page == NOWHERE -> find(a, page) :: else -> skip fi;
#else
            find(a, page);
#endif
            if
            :: page == NOWHERE -> window_take(r); next = ADDS
            :: page < PAGES && mapped[page] -> take(a, page); next = ENDS
            :: else -> begin_growth(page); next = MAPS
            fi
        }
    :: d_step { next == MAPS -> grow(page, true); next = GROWS }
    :: d_step { next == MAPS -> grow(page, false); take_mapped(a, page); next = ENDS }
    :: d_step { next == ADDS ->
            if
            :: r < REGIONS -> assert(owner[r] == NOBODY && !leaving[r]); owner[r] = a; used[r] = false; next = GROWS
            :: else -> take_mapped(a, page); next = ENDS
            fi;
            r = 0
        }
    :: d_step { next == ENDS -> ground[a] = false }; break
    od;
granted:
    if
    :: page < PAGES -> d_step { give(a, page); page = NOWHERE }; noted[a] = true
    :: else -> skip
    fi;
    running--
}

#ifdef BUG_EXTEND_INTO_ANY_REGION
#define OURS true
#else
#define OURS (owner[1] == A)
#endif
#define ROOM (OURS && !in_use[2] && !in_use[3])

/* fl_pages_extend, into both pages of region 1. */
proctype extender() {
    bool extended = false;
    byte page = 0;
    mtype next = ENDS;
    d_step {
        if
        :: ROOM && mapped[2] && mapped[3] -> take(A, 2); take(A, 3); extended = true
        :: ROOM && !(mapped[2] && mapped[3]) -> next = GROWS
        :: else -> skip
        fi
    };
    if
    :: next == GROWS -> d_step { !ground[A] -> ground[A] = true }
    :: else -> goto granted
    fi;
    do
    :: d_step { next == GROWS ->
            if
#ifdef BUG_EXTEND_DOES_NOT_LOOK_AGAIN
            :: page == 0 && !ROOM -> next = ENDS
#else
            :: !ROOM -> next = ENDS
#endif
            :: else ->
                if
                :: mapped[2] && mapped[3] -> take(A, 2); take(A, 3); extended = true; next = ENDS
                :: else -> page = (mapped[2] -> 3 : 2); begin_growth(page); next = MAPS
                fi
            fi
        }
    :: d_step { next == MAPS -> grow(page, true); next = GROWS }
    :: d_step { next == MAPS -> grow(page, false); next = ENDS }
    :: d_step { next == ENDS -> ground[A] = false; page = 0 }; break
    od;
granted:
    if
    :: extended -> d_step { give(A, 2); give(A, 3) }; noted[A] = true
    :: else -> skip
    fi;
    running--
}

proctype returner() {
    d_step { give(A, 2) };
    noted[A] = true;
    running--
}

/* As much of a region as the system takes to None, without the arena's lock. All of it, or all but its second page. */
inline free_page(page) {
    if
    :: mapped[page] ->
        assert(!held[page] && memory[page] != NONE); memory[page] = NONE; mapped[page] = false; prepared[page] = false
    :: else -> skip
    fi
}

inline free_region(r) {
    if
    :: d_step { free_page(r * PER_REGION); free_page(r * PER_REGION + 1) }
    :: d_step { !refused_once && mapped[r * PER_REGION + 1] -> refused_once = true; free_page(r * PER_REGION) }
    fi
}

inline release(r) {
#ifdef BUG_GIVES_BEFORE_IT_FREES
    d_step { leaving[r] = false; taken[r] = false };
#endif
    free_region(r);
    d_step {
#ifdef BUG_LEAVES_WITH_ITS_OWNER
        owner[r] = NOBODY;
#endif
#ifdef BUG_GIVES_BEFORE_IT_FREES
        skip
#else
        window_give(r)
#endif
    }
}

/* Holds the ground lock. What the system kept of another is tried again. */
inline release_all(r) {
    d_step {
        again = 0;
        do
        :: again < REGIONS && !kept[again] -> again++
        :: else -> break
        od;
        if :: again < REGIONS -> kept[again] = false; leaving[again] = true :: else -> skip fi
    };
    if :: again < REGIONS -> release(again) :: else -> skip fi;
    again = 0;
    release(r)
}

/* fl_region_leave_if_empty, of one that the batch has touched. */
inline leave_if_empty(a, r) {
#ifdef BUG_LEAVES_FOR_ANYBODY
    leaves = owner[r] != NOBODY;
#else
    leaves = owner[r] == a;
#endif
    leaves = leaves && !in_use[r * PER_REGION] && !in_use[r * PER_REGION + 1];
    leaves = leaves && !IDLE(r * PER_REGION) && !IDLE(r * PER_REGION + 1);
    if
    :: leaves ->
        assert(owner[r] == a);
#ifndef BUG_LEAVES_WITH_ITS_OWNER
        owner[r] = NOBODY;
#endif
        leaving[r] = true
    :: else -> skip
    fi
}

/* A batch of all that is idle. */
inline gather(a) {
    i = 0;
    do
    :: i < PAGES ->
        batch[i] = owner[i / PER_REGION] == a && IDLE(i);
#ifndef BUG_BATCH_IS_FREE_MEANWHILE
        in_use[i] = in_use[i] || batch[i];
#endif
        i++
    :: else -> break
    od;
    i = 0
}

inline put_back() {
    i = 0;
    do
    :: i < PAGES ->
        if
        :: batch[i] ->
            assert(!held[i] && memory[i] == READY);
            memory[i] = PREPARED; prepared[i] = true; in_use[i] = false
        :: else -> skip
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* For each range; another one in the same region may have come first. */
inline release_empty(a) {
    do
    :: i < PAGES && batch[i] ->
#ifndef BUG_LEAVES_WITHOUT_GROUND
        d_step { !ground[a] -> ground[a] = true; r = i / PER_REGION; leave_if_empty(a, r) };
#else
        d_step { r = i / PER_REGION; leave_if_empty(a, r) };
#endif
        if
        :: leaves -> release_all(r)
        :: else -> skip
        fi;
        d_step {
#ifndef BUG_LEAVES_WITHOUT_GROUND
            ground[a] = false;
#endif
            batch[i] = false; leaves = false; r = 0; i++
        }
    :: i < PAGES && !batch[i] -> i++
    :: i == PAGES -> break
    od
}

/* fl_regions_unmap_spare, of one page. */
inline unmap_spare(a) {
    if
    :: i < PAGES ->
        assert(!held[i] && memory[i] == PREPARED); memory[i] = NONE; mapped[i] = false; prepared[i] = false
    :: else -> skip
    fi;
    i = 0
}

inline find_spare(a) {
    i = 0;
    do
    :: i < PAGES && !(owner[i / PER_REGION] == a && prepared[i]) -> i++
    :: else -> break
    od
}

proctype scavenger() {
    byte a = A, i, r, again;
    bool batch[PAGES], leaves, unmapped = false;
    do
    :: d_step { noted[A] || noted[B] ->
            a = (noted[A] -> A : B);
            upkeep[a] = true;
#ifndef BUG_TURN_CLEARS_NOTED_LATE
            noted[a] = false;
#endif
            gather(a)
        };
        d_step { put_back() };
        release_empty(a);
        atomic {
#ifdef BUG_TURN_CLEARS_NOTED_LATE
            noted[a] = false;
#endif
            upkeep[a] = false; a = A; i = 0
        }
#ifdef BUG_UNMAPS_WITHOUT_THE_LOCK
    :: d_step { !unmapped && running > 0 && !ground[A] -> unmapped = true; ground[A] = true; find_spare(A) };
        d_step { unmap_spare(A); ground[A] = false }
#else
    :: d_step { !unmapped && running > 0 && !ground[A] -> unmapped = true; find_spare(A); unmap_spare(A) }
#endif
    :: running == 0 && !noted[A] && !noted[B] -> break
    od
}

#define UPKEEP_IS_FREE (!upkeep[A] && !upkeep[B])
#define GROUND_IS_FREE (!ground[A] && !ground[B])
#ifdef BUG_FORK_WITHOUT_UPKEEP
#define FORK_HAS_ITS_LOCKS GROUND_IS_FREE
#else
#ifdef BUG_FORK_WITHOUT_GROUND
#define FORK_HAS_ITS_LOCKS UPKEEP_IS_FREE
#else
#define FORK_HAS_ITS_LOCKS (UPKEEP_IS_FREE && GROUND_IS_FREE)
#endif
#endif

proctype forker() {
    byte i;
    d_step { FORK_HAS_ITS_LOCKS ->
        i = 0;
        do
        :: i < REGIONS -> assert(!leaving[i]); assert(taken[i] == (owner[i] != NOBODY || kept[i])); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < PAGES ->
            assert(!growing[i]);
            assert(mapped[i] == (memory[i] != NONE));
            assert(in_use[i] == held[i]);
            i++
        :: else -> break
        od;
        i = 0
    }
}

init {
    byte i;
    atomic {
        owner[0] = A; owner[1] = A; owner[2] = NOBODY;
        taken[0] = true; taken[1] = true;
        d_step {
        i = 0;
        do
        :: i < PAGES ->
            memory[i] = (i < 3 -> READY : NONE);
            mapped[i] = i < 3; in_use[i] = i < 3; held[i] = i < 3;
            i++
        :: else -> break
        od;
        i = 0
        };
        used[0] = true; used[1] = true;
        running = 4;
        run granter(A); run granter(B); run extender(); run returner(); run scavenger(); run forker()
    };
    (_nr_pr == 1);
    d_step {
        do
        :: i < REGIONS ->
            assert(taken[i] == (owner[i] != NOBODY || kept[i]) && !leaving[i]);
            assert(owner[i] == NOBODY || !used[i] || in_use[i * PER_REGION] || in_use[i * PER_REGION + 1]);
            i++
        :: else -> break
        od
    }
}
