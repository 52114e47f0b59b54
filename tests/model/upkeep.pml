/* SPDX-License-Identifier: MIT */
/*
 * upkeep.pml: a model of the queue of src/arena/upkeep.c, for spin: who looks after an arena, and when.
 *
 * One arena. Processes:
 *   gainer    gains something in the arena and notes it, twice
 *   ticker    has the arena's turns: takes it from the queue, does what was gained, says whether it stays due
 *   giver     begins upkeep by itself, waits for it, yields in between, ends; as a give-back on request does
 *   pauser    has the arena to itself for a moment: pauses its upkeep, as a walk does, or leaves and joins again, as a reset does
 *   leaver    may leave, once the gainer and the pauser have ended; then the arena ends
 *
 * With -DFORK all of these vanish at any moment at which fork could have the locks of the arena and the queue, each wherever it
 * was; a child gains something, notes it, has a turn, and leaves.
 *
 * What is done with the queue's lock is one step; each other access of a word is one too. All of these are seq_cst in the code,
 * so that memory is sequentially consistent here.
 *
 * Claims: what was gained and noted is seen by a turn, or the arena is due; one is at work in the arena at a time, and nobody
 * while it is paused, or touches it after leaving has returned; leaving ends.
 *
 * Seeded bugs, each found by spin with -D: see `grep BUG_`.
 */
#define TURNS 2

/* The arena. */
bool lock;
bool noted;
bool due;
bool joined = true;
byte pins;
byte pauses;

/* What is so. */
bool gained;    /* something is there to be given back */
bool left;      /* leaving has returned: nobody may touch what stands above */
bool paused;    /* pausing has returned */
byte working;
byte busy;      /* gainer and pauser */
bool forked;

#define TOUCH assert(!left)

inline take_lock()  { atomic { !lock -> TOUCH; lock = true } }
inline drop_lock()  { atomic { TOUCH; assert(lock); lock = false } }
inline come_in()    { d_step { TOUCH; assert(working == 0); assert(!paused); working++ } }
inline go_out()     { d_step { TOUCH; working-- } }

/* fl_upkeep_note. */
inline note() {
#ifdef BUG_NOTE_LOOKS_BEFORE_IT_SAYS
    d_step { TOUCH; see = due };
#endif
    if
    :: d_step { !noted -> TOUCH } ->
        d_step { TOUCH; noted = true };
        if
#ifdef BUG_NOTE_LOOKS_BEFORE_IT_SAYS
        :: !see ->
#else
        :: !due ->
#endif
            d_step { TOUCH; if :: joined && !due -> due = true :: else -> skip fi }
        :: else -> skip
        fi
    :: else -> skip
    fi
}

/* begin_pinned, from where the lock is the caller's. */
inline begin_locked(mine) {
    d_step {
        TOUCH;
#ifdef BUG_BEGIN_OVERLOOKS_A_PAUSE
        mine = joined
#else
        mine = joined && pauses == 0
#endif
    };
    if
    :: mine -> come_in()
    :: else -> drop_lock(); unpin()
    fi
}

inline unpin() { d_step { TOUCH; assert(pins > 0); pins-- } }

inline end() {
    go_out();
#ifdef BUG_END_UNPINS_FIRST
    unpin();
    drop_lock()
#else
    drop_lock();
    unpin()
#endif
}

proctype gainer() {
    byte times = 0;
    bool see;
    {
    do
    :: times < 2 ->
#ifdef BUG_NOTE_COMES_FIRST
        note();
        gained = true;
#else
        gained = true;
        note();
#endif
        times++
    :: else -> break
    od;
    busy--
    } unless { forked }
}

inline turn(mine) {
    if
    :: d_step { due -> TOUCH; pins++ } ->
        if
        :: atomic { !lock -> TOUCH; lock = true } ->
            begin_locked(mine);
            if
            :: mine ->
#ifndef BUG_TURN_FORGETS_WHAT_IS_NOTED_MEANWHILE
                noted = false;
#endif
                gained = false; /* what is there is given back */
#ifdef BUG_TURN_FORGETS_WHAT_IS_NOTED_MEANWHILE
                noted = false;
#endif
                if
                :: skip /* stays due */
                :: d_step {
                        TOUCH;
                        if
#ifdef BUG_END_OF_TURN_DOES_NOT_LOOK
                        :: due -> due = false
#else
                        :: due -> due = noted
#endif
                        :: else -> skip
                        fi
                    }
                fi;
                end()
            :: else -> skip
            fi
        :: lock -> unpin() /* in other hands: the next round */
        fi
    :: !due -> skip
    fi
}

proctype ticker() {
    byte times = 0;
    bool mine;
    {
    do
    :: times < TURNS -> turn(mine); times++
    :: else -> break
    od
    } unless { forked }
}

/* fl_upkeep_begin, fl_upkeep_yield, fl_upkeep_end. */
proctype giver() {
    bool mine;
    {
#ifdef BUG_BEGIN_DOES_NOT_PIN
    d_step { joined -> TOUCH };
    take_lock();
    d_step { TOUCH; pins++ };
#else
    if
    :: d_step { joined -> TOUCH; pins++ }
    :: !joined -> goto done
    fi;
    take_lock();
#endif
    begin_locked(mine);
    if
    :: mine ->
        gained = false;
        go_out(); drop_lock();
        take_lock();
        begin_locked(mine);
        if
        :: mine -> end()
        :: else -> skip
        fi
    :: else -> skip
    fi;
done:
    skip
    } unless { forked }
}

/* fl_upkeep_leave. It sleeps, and looks again, until nobody has pinned the arena. */
inline leave() {
    d_step { TOUCH; joined = false; due = false; pinned = pins > 0 };
#ifndef BUG_LEAVE_DOES_NOT_WAIT
    if
    :: pinned ->
        take_lock(); drop_lock();
#ifndef BUG_LEAVE_WAITS_ONCE
        pins == 0
#else
        skip
#endif
    :: else -> skip
    fi;
#endif
    assert(working == 0)
}

/* fl_upkeep_pause and fl_upkeep_go_on; or fl_upkeep_leave, and fl_upkeep_join. */
proctype pauser() {
    bool pinned, see;
    {
    if
    :: true ->
        d_step { TOUCH; pauses++ };
#ifndef BUG_PAUSE_DOES_NOT_WAIT
        take_lock(); drop_lock();
#endif
        d_step { paused = true; assert(working == 0) };
        d_step { paused = false; pauses-- }
    :: true ->
        leave();
        paused = true;
        gained = true;
        note();
        d_step {
            paused = false; joined = true;
#ifndef BUG_JOIN_FORGETS_WHAT_IS_NOTED
            due = noted
#endif
        }
    fi;
    busy--
    } unless { forked }
}

proctype leaver() {
    bool pinned;
    if
    :: busy == 0 -> leave(); left = true
    :: skip /* the arena goes on */
    fi
}

/* The only thread of a child: fl_upkeep_fork_child, then upkeep as usual. */
proctype child() {
    bool mine, see, pinned;
    d_step {
        !lock && !left -> forked = true;
        busy = 0; paused = false;
#ifndef BUG_FORK_KEEPS_PINS
        pins = 0; pauses = 0;
#endif
#ifndef BUG_FORK_FORGETS_WHAT_IS_NOTED
        if :: joined && noted && !due -> due = true :: else -> skip fi
#endif
    };
    gained = true;
    note();
    assert(!joined || due);
    turn(mine);
    assert(!joined || !gained);
    if :: joined -> leave(); left = true :: else -> skip fi
}

init {
    atomic {
        busy = 2;
        run gainer(); run ticker(); run giver(); run pauser();
#ifdef FORK
        run child();
#else
        run leaver();
#endif
    };
    (_nr_pr == 1);
    assert(left || forked || !gained || due);
    assert(left || (pins == 0 && pauses == 0 && !lock))
}
