/* SPDX-License-Identifier: MIT */
/*
 * schedule.h: who runs, and until when: coroutines, the clock, waiting and sleeping, and the strategies that
 * the seed draws.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "world.h"

/* A new thread, runnable; NULL: there is no place left. Its stack and variables are its own. */
sim_thread *sim_thread_new(void *(*body)(void *), void *argument, bool background);

/* Turns the caller into the first thread of a world that has none. It keeps its own stack. */
void sim_become_first(void);

/* The calling thread waits until sim_wake is called with the same thing, or (not 0) the clock shows
 * until_ns. */
void sim_wait(const void *thing, uint64_t until_ns);
void sim_wake(const void *thing);
void sim_sleep_until(uint64_t wakes_ns);

/* Whoever else can run, does. */
void sim_yield(void);

/* Nobody else will ever run: what the child of a fork is. */
void sim_be_alone(void);

uint64_t sim_now_ns(void);
uint64_t sim_own_ns(void); /* in which the calling thread ran; the clock goes on without it, by jumps too */
void sim_jump_ns(uint64_t duration_ns);

/* An operation of the calling thread begins and ends. In between it must come to its end within a bound of
 * its own steps. */
void sim_op_begin(const char *name);
void sim_op_end(void);

/* Draws the strategy. */
void sim_schedule_begin(void);

/* A recorded schedule: so many switches, at these steps to these threads, in place of the strategy's; and how
 * to have one written down. */
typedef struct sim_switch {
    uint64_t step;
    unsigned to;
    bool waits; /* who ran until then had to wait, or had ended */
} sim_switch;

void sim_schedule_replay(const sim_switch *switches, size_t count);
void sim_schedule_record(int descriptor);

#endif
