/* SPDX-License-Identifier: MIT */
/*
 * shed.h: asks shedders, the program's call-backs for its arenas, to free something, at a limit or without
 * memory.
 *
 * A shedder is asked by one thread at a time. Others in want wait for it, since what it frees may do for them
 * too: they try again before they ask, and before they are refused. But a thread inside a call-back waits for
 * nobody: otherwise two shedders that free in each other's arena would wait for ever.
 *
 * Another one can be asked at the soft limit, once each time the limit is crossed upwards: by the
 * program's ticks or, if it makes none, by the request that crossed the limit, after it has been served. Then
 * what is above the limit and in no use goes back, so that the next crossing is one. Before a request is
 * refused, all are asked whose limit is exceeded, if something has changed since they were last asked.
 *
 * Threads: any, with no lock held: the call-back may allocate and free.
 */
#ifndef FL_SHED_H
#define FL_SHED_H

#include "pagearena.h"

/* A call-back about an arena, on the stack of the thread that runs it: it asks a shedder, or visits what is
 * in the arena. */
typedef struct fl_call_back {
    uintptr_t thread;
    const fl_pagearena *about;   /* must not end meanwhile */
    const fl_pagearena *wanting; /* nor must the one whose request it is for */
    bool asks;
    struct fl_call_back *next;
} fl_call_back;

void fl_call_back_begin(fl_call_back *it, const fl_pagearena *about, const fl_pagearena *wanting, bool asks);
void fl_call_back_end(const fl_call_back *it);

/* Returns whether the calling thread is inside a call-back that the arena has to outlive. */
bool fl_call_back_needs(const fl_pagearena *arena);

typedef bool fl_shed_function(void *context, size_t bytes);

/* Sets whom to ask; NULL: nobody. */
void fl_shed_set(fl_pagearena *arena, fl_shed_function *function, void *context);

typedef enum fl_shed_outcome {
    FL_SHED_NOBODY, /* there is none, it has nothing, it is the one that is asking, or it is busy and the
                       caller may not wait */
    FL_SHED_OTHERS, /* it has not been asked: others have freed something meanwhile */
    FL_SHED_ASKED
} fl_shed_outcome;

/* Asks the shedder for so many bytes, which a request in `wanting` needs, for which there was a shortage. If
 * not NOBODY, another try makes sense. insists: the last try, after OTHERS, was in vain. */
fl_shed_outcome fl_shed_ask(fl_pagearena *arena, const fl_pagearena *wanting, const fl_shortage *shortage,
                            size_t bytes, bool insists);

/* The same for the soft limits on an arena, whose request is about to be refused: asks all that are exceeded
 * if it has looked for what can go, else those that have been crossed. */
fl_shed_outcome fl_shed_ask_above(fl_pagearena *arena, const fl_shortage *shortage, bool looked,
                                  bool insists);

/* Sets whom to ask at the soft limit. */
void fl_shed_set_soft(fl_pagearena *arena, fl_shed_function *function, void *context);

/* Called when a request has been served, and in each tick that the program makes. One load if no soft limit
 * has been crossed. */
void fl_shed_ask_soft(fl_pagearena *arena);
void fl_shed_tick(void);

/* To be called when an arena has joined upkeep again: a tick that came meanwhile has not seen that its soft
 * limit was crossed. */
void fl_shed_remind(const fl_pagearena *arena);

/* In the child of a fork, once for all, and for each arena: threads that were asking are not here. */
void fl_shed_fork_child(void);
void fl_shed_fork_child_of(fl_pagearena *arena);

#endif
