/* SPDX-License-Identifier: MIT */
/*
 * one_life.h: the life of one simulated process, from its start to the last look at what it has left.
 */
#ifndef ONE_LIFE_H
#define ONE_LIFE_H

#include "schedule.h"

/* What a life is asked for, besides its seed. */
typedef struct life_plan {
    uint64_t seed;
    bool logs;
    const char *only;           /* a workload by name; NULL: what the seed draws */
    bool signals;               /* handlers that fork interrupt threads at any point */
    const sim_switch *switches; /* a recorded schedule instead of the seed's; NULL: none */
    size_t switch_count;
    int record_to;      /* a file for the schedule; 0: none */
    uint64_t nth_fault; /* not 0: this call of the system is refused, and no other (a sweep) */
    int nth_result;     /* osmem_result */
} life_plan;

/* What it came to; shared with the process that waits for it. */
typedef struct life_figures {
    uint64_t steps, switches, operations, longest_op;
    bool fault_happened;
    char longest_op_name[24];
    char what[160]; /* the seed has drawn */
} life_figures;

/* Never returns: the process ends with 0, or with LIFE_FAILED. */
#define LIFE_FAILED 3
_Noreturn void life_run(const life_plan *plan, life_figures *figures);

_Noreturn void life_failed(void);

#endif
