/* SPDX-License-Identifier: MIT */
/*
 * processes.h: the processes that run on fallow and that this user may look into, for `fallow top` to choose
 * from.
 */
#ifndef FL_PROCESSES_H
#define FL_PROCESSES_H

#include "frame.h"

typedef struct fl_process {
    pid_t process;
    char program[32], version[16];
    uint64_t resident_bytes;
} fl_process;

typedef struct fl_processes {
    fl_process *all; /* those with the most memory first */
    size_t count;
    size_t forbidden; /* others, which this user may not look into */
} fl_processes;

/* Looks through all of /proc. Returns false if out of memory, or if there is no /proc. */
bool fl_processes_find(fl_processes *its);
void fl_processes_free(fl_processes *its);

void fl_processes_draw(const fl_processes *its, size_t chosen, fl_frame *frame);

#endif
