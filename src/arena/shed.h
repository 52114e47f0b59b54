/* SPDX-License-Identifier: MIT */
/*
 * shed.h: asks shedders, the program's call-backs for its arenas, to free something, at a limit or without
 * memory.
 *
 * A shedder is asked by one thread at a time. Others in want wait for it, since what it frees may do for them
 * too. But a thread inside a call-back waits for nobody: otherwise two shedders that free in each other's
 * arena would wait for ever.
 *
 * Another one can be asked at the soft limit, once each time the limit is crossed upwards: by the
 * program's ticks or, if it makes none, by the request that crossed the limit, after it has been served; in
 * any case before a request is refused.
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

/* Asks the shedder for so many bytes, which a request in `wanting` needs. Returns false if there is none,
 * it has nothing, it is the one that is asking, or it is busy and the caller may not wait. */
bool fl_shed_ask(fl_pagearena *arena, const fl_pagearena *wanting, size_t bytes);

/* The same for the soft limit. */
void fl_shed_set_soft(fl_pagearena *arena, fl_shed_function *function, void *context);

/* Called when a request has been served, and in each tick that the program makes. One load if no soft limit
 * has been crossed. */
void fl_shed_ask_soft(fl_pagearena *arena);
void fl_shed_tick(void);

/* Called when a request in an arena is about to be refused: asks what no tick has asked yet. Returns whether
 * anybody was asked. */
bool fl_shed_ask_crossed(fl_pagearena *arena);

/* To be called when an arena has joined upkeep again: a tick that came meanwhile has not seen that its soft
 * limit was crossed. */
void fl_shed_remind(const fl_pagearena *arena);

/* In the child of a fork, once for all, and for each arena: threads that were asking are not here. */
void fl_shed_fork_child(void);
void fl_shed_fork_child_of(fl_pagearena *arena);

#endif
