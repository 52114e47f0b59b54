/* SPDX-License-Identifier: MIT */
/*
 * guest.h: a thread of the library's own, which is a guest in the program: it has no share in its signals, its files, its
 * scheduling. What it does: src/arena/driver.c.
 */
#ifndef FL_GUEST_H
#define FL_GUEST_H

#include <stdbool.h>
#include <stdint.h>

/* What a guest needs to know of the process: read once, by the first thread, at its start. */
void fl_guest_prepare(void);

/*
 * May the calling thread start one now? Not while glibc frees the storage of threads that have ended: it holds a lock then that
 * pthread_create takes. Known by who is on the stack; in a program that is linked statically, and on other C libraries, nothing is known.
 */
bool fl_guest_may_start(void);

/*
 * Starts a detached thread with every signal blocked, and a stack that has room for the program's thread-local storage and
 * a little more. False where that fails. May allocate (the C library sets up the thread's own storage), so no lock may be
 * held.
 */
bool fl_guest_start(void *(*body)(void *), void *argument);

/*
 * The first call of such a thread: it runs on the processors and by the policy that the process began with, whatever thread
 * has started it, and has a table of open files of its own, an empty one: no number of the program's is ever taken. False: the
 * system has no such table to give, and the thread has to leave files alone.
 */
bool fl_guest_settle_in(void);

/* Returns when the C library has let go of a thread (fl_system_thread) too, or in a second. */
void fl_guest_await_end(uint32_t thread);

#endif
