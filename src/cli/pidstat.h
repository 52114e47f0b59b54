/* SPDX-License-Identifier: MIT */
/*
 * pidstat.h: what the kernel says of a process or a thread in one line, /proc/PID/stat.
 */
#ifndef FL_PIDSTAT_H
#define FL_PIDSTAT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fl_pidstat {
    char program[32];
    char letter; /* its state */
    uint64_t flags;
    uint64_t faults; /* so far, without the disk */
    uint64_t began;  /* when it was made, in the system's ticks: tells it from another of the same number */
    uint64_t stack;  /* where its program's stack begins; 0 if we may not know, or if it has ended */
} fl_pidstat;

/* Returns false if there is none. */
bool fl_pidstat_read(const char *path, fl_pidstat *its);

/* Returns whether only its status is left, or presently will be. For a process this is about its first
 * thread: others may go on. */
bool fl_pidstat_has_ended(const fl_pidstat *its);

#endif
