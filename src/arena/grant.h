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
    bool dry : 1;      /* the last look found nothing more to give back */
    bool looked : 1;   /* something had changed, and soft limits' shedders have not been asked since */
    bool gave_way : 1; /* the last try was for what others freed */
} fl_ladder;

/* Takes one step up the ladder for a request that was refused so many bytes. Returns whether another try
 * makes sense. */
bool fl_make_room(fl_pagearena *arena, const fl_shortage *shortage, fl_ladder *ladder, size_t bytes);

/* Finds out why the arena's last refused request was refused. Returns false if none was. */
bool fl_last_refusal(const fl_pagearena *arena, fl_shortage *shortage);

#endif
