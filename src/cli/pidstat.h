/* SPDX-License-Identifier: MIT */
/*
 * pidstat.h: what the kernel says of a process or of a thread in one line, /proc/PID/stat.
 */
#ifndef FL_PIDSTAT_H
#define FL_PIDSTAT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fl_pidstat {
    char program[32];
    char letter; /* its state */
    uint64_t flags;
    uint64_t faults; /* so far, that took no disk */
    uint64_t began;  /* when it was made, in the system's ticks: another of the same number has another */
    uint64_t stack;  /* where its program's stack begins; 0 for who may not know, and of what has ended */
} fl_pidstat;

/* False: there is none. */
bool fl_pidstat_read(const char *path, fl_pidstat *its);

/* Only its status is left, or will be presently. Of a process: its first thread's, others may go on. */
bool fl_pidstat_has_ended(const fl_pidstat *its);

#endif
