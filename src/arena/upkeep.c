/* SPDX-License-Identifier: MIT */
/*
 * upkeep.c: the queue and its locks. spin explores every interleaving: tests/model/upkeep.pml, which changes
 * together with this.
 */
#include "upkeep.h"

#include "../system/fatal.h"
#include "../system/system.h"
#include "window.h"

#define FIRST_WORKSPACES 4
#define LOOKS_MAX 256           /* at arenas that do not fit, before the queue's lock is dropped for others */
#define WAIT_NS UINT64_C(20000) /* for a thread that has pinned an arena but not reached its lock yet */

/* The queue's lock guards all of these. */
static fl_upkeep *joined[FL_UPKEEP_MAX]; /* by place */
static uint32_t places_used;             /* places from here on have never been taken */
static uint32_t first_free;              /* none below is free */
static fl_upkeep *first_due, *last_due;
static _Atomic size_t due_count; /* between them; also read without the lock */
static uint64_t rounds;
static fl_workspace first_workspaces[FIRST_WORKSPACES]; /* these need no memory */
static unsigned first_used;
static fl_workspace *workspaces; /* used before; linked by next */

static _Atomic unsigned hurries;

static void take_queue(void) {
    fl_lock_take(fl_lock_of(FL_LOCK_QUEUE));
}

static void drop_queue(void) {
    fl_lock_drop(fl_lock_of(FL_LOCK_QUEUE));
}

void fl_upkeep_init(fl_upkeep *upkeep) {
    *upkeep = (fl_upkeep){.workspace = NULL};
    fl_lock_init(&upkeep->lock, FL_LOCK_UPKEEP);
}

/* Caller holds the queue's lock; so with the next two. */
static void enqueue(fl_upkeep *upkeep) {
    upkeep->next = NULL;
    upkeep->previous = last_due;
    *(last_due ? &last_due->next : &first_due) = upkeep;
    last_due = upkeep;
    atomic_store_explicit(&due_count, fl_upkeep_due() + 1, memory_order_relaxed);
    atomic_store_explicit(&upkeep->due, true, memory_order_seq_cst);
}

static void dequeue(fl_upkeep *upkeep) {
    *(upkeep->previous ? &upkeep->previous->next : &first_due) = upkeep->next;
    *(upkeep->next ? &upkeep->next->previous : &last_due) = upkeep->previous;
    atomic_store_explicit(&due_count, fl_upkeep_due() - 1, memory_order_relaxed);
    atomic_store_explicit(&upkeep->due, false, memory_order_seq_cst);
}

static bool is_due(const fl_upkeep *upkeep) {
    return atomic_load_explicit(&upkeep->due, memory_order_relaxed);
}

bool fl_upkeep_join(fl_upkeep *upkeep) {
    take_queue();
    while (first_free < places_used && joined[first_free])
        first_free++;
    bool fits = first_free < FL_UPKEEP_MAX;
    if (fits) {
        upkeep->place = first_free;
        upkeep->joined = true;
        joined[first_free] = upkeep;
        places_used = first_free < places_used ? places_used : first_free + 1;
        if (atomic_load_explicit(&upkeep->noted, memory_order_seq_cst))
            enqueue(upkeep); /* noted while it was away */
    }
    drop_queue();
    return fits;
}

bool fl_upkeep_part(fl_upkeep *upkeep) {
    take_queue();
    if (upkeep->joined) {
        joined[upkeep->place] = NULL;
        first_free = upkeep->place < first_free ? upkeep->place : first_free;
    }
    upkeep->joined = false;
    if (is_due(upkeep))
        dequeue(upkeep);
    bool pinned = upkeep->pins > 0;
    drop_queue();
    return pinned;
}

void fl_upkeep_leave(fl_upkeep *upkeep) {
    for (bool pinned = fl_upkeep_part(upkeep); pinned;) {
        fl_lock_take(&upkeep->lock); /* until the thread at work has ended */
        fl_lock_drop(&upkeep->lock);
        take_queue();
        pinned = upkeep->pins > 0;
        drop_queue();
        if (pinned)
            fl_system_sleep_ns(WAIT_NS);
    }
}

/*
 * A thread that gained something says so in `noted`, the queue says in `due` whether the arena is in it; each
 * writes its own word and then reads the other's, in one order for all (seq_cst). So if an arena leaves the
 * queue while something is gained, one of the two brings it back. A turn clears `noted` before it looks at
 * anything: a thread that finds it set here has gained what the turn will see.
 */
void fl_upkeep_note(fl_upkeep *upkeep) {
    if (atomic_load_explicit(&upkeep->noted, memory_order_seq_cst))
        return;
    atomic_store_explicit(&upkeep->noted, true, memory_order_seq_cst);
    if (atomic_load_explicit(&upkeep->due, memory_order_seq_cst))
        return;
    take_queue();
    if (upkeep->joined && !is_due(upkeep))
        enqueue(upkeep);
    drop_queue();
}

/* Caller holds the queue's lock. Returns NULL if none is left: the next takes memory. */
static fl_workspace *take_workspace(void) {
    fl_workspace *workspace = workspaces;
    if (workspace)
        workspaces = workspace->next;
    else if (first_used < FIRST_WORKSPACES)
        workspace = &first_workspaces[first_used++];
    return workspace;
}

/* The child of a signal handler's fork goes on in the middle of upkeep, where nothing is counted any more:
 * here and below. */
static void unpin(fl_upkeep *upkeep) {
    take_queue();
    upkeep->pins -= upkeep->pins > 0;
    drop_queue();
}

/* Takes a pinned arena's lock; if not `wait`, only if it is to be had at once. Returns false if the upkeep is
 * not the caller's; the pin is then gone. */
static bool begin_pinned(fl_upkeep *upkeep, bool wait) {
    bool locked = wait ? (fl_lock_take(&upkeep->lock), true) : fl_lock_try(&upkeep->lock);
    take_queue();
    bool mine = locked && upkeep->joined && upkeep->pauses == 0;
    fl_workspace *workspace = mine ? take_workspace() : NULL;
    drop_queue();
    if (mine && !workspace)
        workspace = fl_meta_alloc(sizeof *workspace);
    if (workspace) {
        upkeep->workspace = workspace;
        return true;
    }
    if (locked)
        fl_lock_drop(&upkeep->lock);
    unpin(upkeep);
    return false;
}

static void give_workspace(fl_upkeep *upkeep) {
    take_queue();
    upkeep->workspace->next = workspaces;
    workspaces = upkeep->workspace;
    upkeep->workspace = NULL;
    drop_queue();
}

bool fl_upkeep_begin(fl_upkeep *upkeep) {
    take_queue();
    bool pinned = upkeep->joined;
    upkeep->pins += pinned;
    drop_queue();
    return pinned && begin_pinned(upkeep, true);
}

void fl_upkeep_end(fl_upkeep *upkeep) {
    give_workspace(upkeep);
    fl_lock_drop(&upkeep->lock);
    unpin(upkeep); /* last: from here on it may end */
}

bool fl_upkeep_yield(fl_upkeep *upkeep) {
    give_workspace(upkeep);
    fl_lock_drop(&upkeep->lock);
    return begin_pinned(upkeep, true);
}

void fl_upkeep_pause(fl_upkeep *upkeep) {
    take_queue();
    upkeep->pauses++;
    drop_queue();
    fl_lock_take(&upkeep->lock); /* until a thread that began before has ended */
    fl_lock_drop(&upkeep->lock);
}

void fl_upkeep_go_on(fl_upkeep *upkeep) {
    take_queue();
    upkeep->pauses -= upkeep->pauses > 0;
    drop_queue();
}

uint64_t fl_upkeep_new_round(void) {
    take_queue();
    uint64_t round = ++rounds;
    drop_queue();
    return round;
}

fl_upkeep *fl_upkeep_next_turn(uint64_t round) {
    for (;;) {
        take_queue();
        fl_upkeep *upkeep = first_due;
        if (upkeep && upkeep->turn == round)
            upkeep = NULL;
        if (upkeep) {
            upkeep->turn = round;
            upkeep->pins++;
            dequeue(upkeep); /* moves to the end: others have their turn first, in the next round too */
            enqueue(upkeep);
        }
        drop_queue();
        if (!upkeep)
            return NULL;
        if (begin_pinned(upkeep, false)) {
            upkeep->gained |= atomic_exchange_explicit(&upkeep->noted, false, memory_order_seq_cst);
            return upkeep;
        }
    }
}

void fl_upkeep_end_turn(fl_upkeep *upkeep, bool stays_due) {
    if (!stays_due) {
        take_queue();
        if (is_due(upkeep)) {
            dequeue(upkeep);
            if (atomic_load_explicit(&upkeep->noted, memory_order_seq_cst))
                enqueue(upkeep);
        }
        drop_queue();
    }
    fl_upkeep_end(upkeep);
}

size_t fl_upkeep_due(void) {
    return atomic_load_explicit(&due_count, memory_order_relaxed);
}

void fl_upkeep_each(fl_upkeep_visit *visit, void *context) {
    bool last = false;
    for (size_t place = 0; !last;) {
        take_queue();
        for (size_t looks = 0; looks < LOOKS_MAX && place < places_used; looks++, place++)
            if (joined[place])
                visit(joined[place], context);
        last = place == places_used;
        drop_queue();
    }
}

/* Pins the next that fits. *place goes on only as far as the queue's lock may be held. */
static fl_upkeep *pin_next(size_t *place, fl_upkeep_fits *fits, const void *context, bool *last) {
    fl_upkeep *found = NULL;
    take_queue();
    for (size_t looks = 0; looks < LOOKS_MAX && !found && *place < places_used; looks++, ++*place) {
        fl_upkeep *upkeep = joined[*place];
        if (upkeep && fits(upkeep, context)) {
            upkeep->pins++;
            found = upkeep;
        }
    }
    *last = *place == places_used;
    drop_queue();
    return found;
}

fl_upkeep *fl_upkeep_next(size_t *place, fl_upkeep_fits *fits, const void *context) {
    for (bool last = false;;) {
        fl_upkeep *upkeep = pin_next(place, fits, context, &last);
        if (upkeep && begin_pinned(upkeep, true))
            return upkeep;
        if (!upkeep && last)
            return NULL;
    }
}

fl_upkeep *fl_upkeep_hold_next(size_t *place, fl_upkeep_fits *fits, const void *context) {
    fl_upkeep *upkeep = NULL;
    for (bool last = false; !upkeep && !last;)
        upkeep = pin_next(place, fits, context, &last);
    return upkeep;
}

void fl_upkeep_let_go(fl_upkeep *upkeep) {
    unpin(upkeep);
}

void fl_upkeep_hurry(bool hurry) {
    unsigned before = atomic_load_explicit(&hurries, memory_order_relaxed), after;
    do
        after = hurry ? before + 1 : before - (before > 0);
    while (!atomic_compare_exchange_weak_explicit(&hurries, &before, after, memory_order_relaxed,
                                                  memory_order_relaxed));
}

bool fl_upkeep_is_hurried(void) {
    return atomic_load_explicit(&hurries, memory_order_relaxed) > 0;
}

void fl_upkeep_fork_child_of(fl_upkeep *upkeep) {
    /* Reads first: with many arenas, writing would cost the child pages of its own for nothing. */
    if (upkeep->pins || upkeep->pauses)
        upkeep->pins = upkeep->pauses = 0;
}

void fl_upkeep_fork_child(void) {
    atomic_store_explicit(&hurries, 0, memory_order_relaxed);
    for (size_t place = 0; place < places_used; place++) {
        fl_upkeep *upkeep = joined[place];
        if (!upkeep)
            continue;
        fl_upkeep_fork_child_of(upkeep); /* for a child made by hand */
        /* The thread that noted it was about to put it into the queue. */
        if (atomic_load_explicit(&upkeep->noted, memory_order_relaxed) && !is_due(upkeep))
            enqueue(upkeep);
    }
}
