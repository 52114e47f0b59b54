/* SPDX-License-Identifier: MIT */
/* scavenge.h: one batch of an arena's pages, as the scavenger gives it back: with its lock. */
#ifndef SCAVENGE_H
#define SCAVENGE_H

#include "../../src/arena/pages.h"

static inline size_t scavenge(fl_arena *arena, size_t wanted_pages, fl_cause cause) {
    fl_lock_take(fl_lock_of(FL_LOCK_SCAVENGER));
    bool again;
    size_t went = fl_pages_scavenge(arena, wanted_pages, cause, &again);
    fl_lock_drop(fl_lock_of(FL_LOCK_SCAVENGER));
    return went;
}

#endif
