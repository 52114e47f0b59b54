/* SPDX-License-Identifier: MIT */
/*
 * grant.h: pages under limits: what happens between a request and a refusal.
 *
 * At a hard limit, idle memory goes back, then the shedder is asked, then the request fails. At a soft
 * limit, idle memory goes back before the arena grows; it refuses nothing. Limits are on Ready pages, of an
 * arena and of all arenas of the process together (fallow's own bookkeeping does not count).
 *
 * Threads: any. The caller holds no lock: the shedder runs in here, and may allocate and free.
 */
#ifndef FL_GRANT_H
#define FL_GRANT_H

#include "pagearena.h"

/* Like fl_pages_try and fl_pages_try_lazily, up the whole ladder. Return NULL, and nothing is lost. */
char *fl_grant(fl_pagearena *arena, size_t pages, size_t alignment_pages, fl_how how, bool *zeroed);
char *fl_grant_lazily(fl_pagearena *arena, size_t pages, uint64_t *prepared, bool *zeroed);

/* How far up the ladder a request has come; all zero at first. Soft limits are heeded while `tries` is 0. */
typedef struct fl_ladder {
    uint8_t tries;
    uint8_t sheds;
    uint8_t waits;
    bool dry; /* the last look found nothing more to give back */
} fl_ladder;

/* Takes one step up the ladder for a request that was refused so many bytes. Returns whether another try
 * makes sense. */
bool fl_make_room(fl_pagearena *arena, const fl_shortage *shortage, fl_ladder *ladder, size_t bytes);

/* Finds out why the arena's last refused request was refused. Returns false if none was. */
bool fl_last_refusal(const fl_pagearena *arena, fl_shortage *shortage);

/* Returns whether so many bytes more would leave half of every limit, hard or soft. Then exactness is not
 * worth its price. */
bool fl_limits_are_far(const fl_pagearena *arena, size_t bytes);

/* Returns how much may become Ready for one owner's later use if each of `owners` may have as much. */
size_t fl_limits_ahead_bytes(const fl_pagearena *arena, size_t owners);

/* A limit in bytes as figures show it; 0: none. */
static inline size_t fl_limit_shown(size_t bytes) {
    return bytes == SIZE_MAX ? 0 : bytes;
}

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

#endif
