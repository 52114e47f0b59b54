/* SPDX-License-Identifier: MIT */
/*
 * grant.h: pages under limits: what happens between a request and a refusal.
 *
 * A hard limit is kept by giving back what is idle, then by asking the owner to shed, then by failing. A soft
 * limit is kept by giving back what is idle before growing; it refuses nothing. Limits are on Ready pages, of an
 * arena and of all arenas of the process together (fallow's own bookkeeping is not counted).
 *
 * Threads: any. No lock may be held: the owner's call-back runs in here, and may allocate and free.
 */
#ifndef FL_GRANT_H
#define FL_GRANT_H

#include "pagearena.h"

/* As fl_pages_try and fl_pages_try_lazily, up the whole ladder. NULL: nothing is lost. */
char *fl_grant(fl_pagearena *arena, size_t pages, size_t alignment_pages, fl_how how, bool *zeroed);
char *fl_grant_lazily(fl_pagearena *arena, size_t pages, uint64_t *prepared, bool *zeroed);

/* How far up the ladder a request has come: all zero to begin with. Soft limits are heeded as long as `tries` is 0. */
typedef struct fl_ladder {
    uint8_t tries;
    uint8_t sheds;
    uint8_t waits;
    bool dry; /* the last look has found nothing more to give back */
} fl_ladder;

/* One step of it for who was refused so many bytes. Returns whether another try makes sense. */
bool fl_make_room(fl_pagearena *arena, const fl_shortage *shortage, fl_ladder *ladder, size_t bytes);

/* Why the arena's last request was refused that was. False: none was. */
bool fl_last_refusal(const fl_pagearena *arena, fl_shortage *shortage);

/* Would half of every limit, hard or soft, be left with so many bytes more? Then it is no use to be exact. */
bool fl_limits_are_far(const fl_pagearena *arena, size_t bytes);

/* So much at most becomes Ready in an arena for one owner's later use, where each of `owners` may have as much. */
size_t fl_limits_ahead_bytes(const fl_pagearena *arena, size_t owners);

/* A limit of an arena or the process in bytes, as it holds; 0: none. */
static inline size_t fl_limit_shown(size_t bytes) {
    return bytes == SIZE_MAX ? 0 : bytes;
}

/* In bytes, rounded down to OS pages, of which they are one at least; 0: none. What is above a hard limit that is lowered, and not in use, goes at once. */
void fl_limits_set(fl_pagearena *arena, size_t soft_bytes, size_t hard_bytes);
void fl_limits_set_process_soft(size_t bytes);
void fl_limits_set_process_hard(size_t bytes);

/* No more idle memory than so many bytes, but for a moment. */
void fl_limits_set_idle_max(fl_pagearena *arena, size_t bytes);

/* keeps: idle pages stay but at limits, under pressure and on request. at_once: none stays at all. Neither: the usual. */
void fl_limits_set_policy(fl_pagearena *arena, bool keeps, bool at_once);

/* Whether the container's limit is followed at all. On to begin with. */
void fl_limits_heed_container(bool heed);

/* Reads the container's memory limit: 90 % of it is the process's soft limit unless the program has set one. Opens files: at
 * start, and by who may (driver.h). */
void fl_limits_follow_container(void);

#endif
