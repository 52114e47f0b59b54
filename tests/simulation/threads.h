/* SPDX-License-Identifier: MIT */
/*
 * threads.h: the C library's threads as the sources under test see them, and the fork of a process with one
 * of them.
 */
#ifndef THREADS_H
#define THREADS_H

#include "world.h"

/* Who holds a lock (pthread_mutex_t), or NULL. */
sim_thread *sim_lock_owner(const void *mutex);

/* What a thread does at its end: destructors of its keys. */
void sim_keys_end(void);

/* fork, as the C library does it: handlers, a real process, handlers. True in the child, where the caller is
 * alone; it has to end by _exit(0), and the parent fails with any other status. */
bool sim_fork(void);

#endif
