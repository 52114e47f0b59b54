/* SPDX-License-Identifier: MIT */
/*
 * limits.h: what an arena's limits and the process's are set to, and how far away they are. charge.h refuses
 * at them; grant.h does what can be done about it.
 *
 * Threads: any. Who sets a hard limit holds no lock: what exceeds it goes back in here.
 */
#ifndef FL_LIMITS_H
#define FL_LIMITS_H

#include "pagearena.h"

/* Set limits, in bytes, rounded down to OS pages but to no less than one; 0: none. If a hard limit is
 * lowered, what exceeds it and is not in use goes back at once. */
void fl_limits_set(fl_pagearena *arena, size_t soft_bytes, size_t hard_bytes);
void fl_limits_set_process_soft(size_t bytes);
void fl_limits_set_process_hard(size_t bytes);

/* Limits idle memory, in bytes; it may exceed this for a moment. */
void fl_limits_set_idle_max(fl_pagearena *arena, size_t bytes);

/* keeps: idle pages go only at limits, under pressure and on request. at_once: none stays at all. Neither: as
 * usual. */
void fl_limits_set_policy(fl_pagearena *arena, bool keeps, bool at_once);

/* Says whether to follow the container's limit at all. On at first. */
void fl_limits_heed_container(bool heed);

/* Reads the container's memory limit: 90 % of it is the process's soft limit unless the program has set one.
 * Opens files: for the start, and for those that may (driver.h). */
void fl_limits_follow_container(void);

/* Returns whether so many bytes more would leave half of every limit, hard or soft. Then exactness is not
 * worth its price. */
bool fl_limits_are_far(const fl_pagearena *arena, size_t bytes);

/* Returns how much may become Ready for one owner's later use if each of `owners` may have as much. */
size_t fl_limits_ahead_bytes(const fl_pagearena *arena, size_t owners);

/* A limit in bytes as figures show it; 0: none. */
static inline size_t fl_limit_shown(size_t bytes) {
    return bytes == SIZE_MAX ? 0 : bytes;
}

#endif
