/* SPDX-License-Identifier: MIT */
/*
 * scavenge.h: gives batches of idle pages, and of pages inside of what is granted, to the system. The caller
 * has the arena's upkeep.
 */
#ifndef FL_SCAVENGE_H
#define FL_SCAVENGE_H

#include "pagearena.h"

#define FL_BATCH_RANGES 64

/*
 * Ready → Prepared for those of at most FL_BATCH_RANGES ranges that the system takes. Returns a bit for each
 * that went; *kept gets one for each that is not worth asking for again soon.
 */
uint64_t fl_ranges_unused(fl_pagearena *arena, const osmem_range *ranges, size_t count, uint64_t *kept);

/* Counts ranges inside of what is granted that the floor above has given back: those with a bit in `went`. */
void fl_pagearena_given(fl_pagearena *arena, fl_cause cause, const osmem_range *ranges, uint64_t went,
                        uint64_t started_ns);

/*
 * Gives back up to wanted_pages of what is idle, in one batch of bounded length: vacant regions first,
 * highest addresses first. For FL_CAUSE_GOAL it leaves alone regions that are nearly full. For all causes but
 * this and FL_CAUSE_LIMIT, regions that the batch has made empty leave the arena. Returns how many pages
 * went. *again: whether another batch may find more; false if nothing is idle, or the system refuses.
 */
size_t fl_pages_scavenge(fl_pagearena *arena, size_t wanted_pages, fl_cause cause, bool *again);

#endif
