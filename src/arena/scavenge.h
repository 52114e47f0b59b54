/* SPDX-License-Identifier: MIT */
/* scavenge.h: batches of idle pages, and of pages inside of what is granted, to the system. For who has the arena's upkeep. */
#ifndef FL_SCAVENGE_H
#define FL_SCAVENGE_H

#include "pagearena.h"

/* No batch of ranges for the system is longer. */
#define FL_BATCH_RANGES 64

/*
 * Ready → Prepared for as many of at most FL_BATCH_RANGES ranges as the system takes: one that it keeps is left out.
 * Returns a bit for each that went; *kept gets one for each that is not worth asking for again soon.
 */
uint64_t fl_ranges_unused(fl_pagearena *arena, const osmem_range *ranges, size_t count, uint64_t *kept);

/* The floor above has given back those ranges inside what is granted that have a bit in `went`. In the arena's upkeep. */
void fl_pagearena_given(fl_pagearena *arena, fl_cause cause, const osmem_range *ranges, uint64_t went,
                        uint64_t started_ns);

/*
 * Gives back to the system up to wanted_pages of what is idle, in one batch of bounded length: vacant regions
 * first, highest addresses first. For FL_CAUSE_GOAL, regions that are nearly full are left alone. For all but this and
 * FL_CAUSE_LIMIT, those that the batch has made empty leave the arena. Returns how many pages went. *again: another batch may find more; false: nothing is
 * idle, or the system refuses. In the arena's upkeep.
 */
size_t fl_pages_scavenge(fl_pagearena *arena, size_t wanted_pages, fl_cause cause, bool *again);

#endif
