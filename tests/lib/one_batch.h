/* SPDX-License-Identifier: MIT */
/* one_batch.h: one batch of an arena's pages, as a tick gives it back: in the arena's upkeep. */
#ifndef ONE_BATCH_H
#define ONE_BATCH_H

#include "../../src/arena/pages.h"
#include "../../src/arena/scavenge.h"

static inline size_t scavenge(fl_pagearena *arena, size_t wanted_pages, fl_cause cause) {
    static _Thread_local fl_workspace workspace;
    bool again;
    fl_lock_take(&arena->upkeep.lock);
    arena->upkeep.workspace = &workspace;
    size_t went = fl_pages_scavenge(arena, wanted_pages, cause, &again);
    arena->upkeep.workspace = NULL;
    fl_lock_drop(&arena->upkeep.lock);
    return went;
}

#endif
