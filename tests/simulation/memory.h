/* SPDX-License-Identifier: MIT */
/*
 * memory.h: what the sources under test see of memory: store buffers, thread-local variables, copies.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "world.h"

/* Draws how memory behaves. */
void sim_memory_begin(void);

/* All that a thread has stored is seen by everybody from now on (a release); of all threads (a fence in
 * each). */
void sim_memory_release(sim_thread *thread);

void sim_memory_release_all(void);

/* A plain store that was about to happen has happened: what does not come from the sources under test looks
 * at memory next. */
void sim_memory_settle(void);

/* The caller's program is about to use these bytes itself: its own stores to them come first. */
void sim_memory_own(const void *start, size_t bytes);

/* Stores that are due leave; when the next one is. */
void sim_memory_let_due_go(void);
uint64_t sim_memory_next_due(void);

#endif
