/* SPDX-License-Identifier: MIT */
/*
 * guest.h: the library's own thread, a guest in the program: it takes no part in the program's signals, files
 * or scheduling. src/arena/driver.c says what it does.
 */
#ifndef FL_GUEST_H
#define FL_GUEST_H

#include <stdbool.h>
#include <stdint.h>

/* Reads what a guest needs to know about the process. Called once, by the first thread, when it starts. */
void fl_guest_prepare(void);

/*
 * Returns whether the calling thread may start one now. It may not in a child of vfork, whose threads end
 * with it, on memory that goes on being the parent's; nor while glibc frees the storage of ended threads,
 * because glibc then holds a lock that pthread_create takes. The stack tells; in a statically linked program,
 * and with another C library, there is nothing to go by and the answer is true. Caller holds no lock.
 */
bool fl_guest_may_start(void);

/*
 * Starts a detached thread with every signal blocked and a stack that has room for the program's thread-local
 * storage and a little more. Returns false if that fails. Caller holds no lock: the C library may allocate
 * while it sets up the thread's storage.
 */
bool fl_guest_start(void *(*body)(void *), void *argument);

/*
 * Must be the thread's first call. From then on it runs on the processors and under the policy that the
 * process started with, no matter which thread started it, and has an empty file table of its own, so that it
 * never takes one of the program's descriptor numbers. Returns false if the system provides no such table:
 * the thread must then leave files alone.
 */
bool fl_guest_settle_in(void);

/* Waits until the C library, too, is done with a thread (numbered as by fl_system_thread), at most a second.
 * */
void fl_guest_await_end(uint32_t thread);

#endif
