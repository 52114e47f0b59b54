/* SPDX-License-Identifier: MIT */
/*
 * regions.h: the ground of an arena: how it comes by regions, and gives empty ones back. (How their chunks are mapped as they
 * are needed: growth.h.)
 */
#ifndef FL_REGIONS_H
#define FL_REGIONS_H

#include "pagearena.h"

/* Regions: these want the arena's ground lock, and its lock too but where it says otherwise. */

/* At least so many free pages side by side, with nothing mapped yet. False: no addresses, or no memory for
 * bookkeeping. The arena's lock must not be held. */
bool fl_regions_add(fl_pagearena *arena, size_t pages);

/* Commit charge back: mapped chunks with every page free and Prepared become Reserved again, or None. Returns
 * how many did. */
size_t fl_regions_unmap_spare(fl_pagearena *arena);

/* A region with no page in use and none idle leaves the arena (true: now it is the caller's, who releases it). */
bool fl_region_leave_if_empty(fl_pagearena *arena, fl_region *region);

/* Any region of an arena that comes to its end leaves it; NULL: none is left. Without the arena's lock: nobody is in it. */
fl_region *fl_region_leave_at_end(fl_pagearena *arena);

/*
 * As much of a region that has left to None as the system allows, and the region to the window; without the arena's lock. What
 * the system keeps is tried again when the next region is released, and is there for the next arena that takes the region.
 */
void fl_region_release(fl_pagearena *arena, fl_region *region);

/* Pages: these want the arena's lock alone. */

/* What of it counts as changed (scarce.h): into the list of such regions, or (0) out of it. */
void fl_region_set_changed(fl_pagearena *arena, fl_region *region, uint64_t groups);

/* Those of a region's pages that the system keeps count as idle again. */
void fl_pagearena_unkeep(fl_pagearena *arena, fl_region *region, size_t first, size_t pages);

/*
 * All granted pages of the arena become Ready, but those that are noted as Prepared: those too that a thread which fork has not taken
 * along had in hand before they were Ready; no book tells which these are. For the end of all that is granted, with nothing left in the page map. Counts without a look at limits: it all
 * goes in a moment. Stops the process if the system refuses.
 */
void fl_regions_ready_granted(fl_pagearena *arena);

/* Pages that were granted are None: the system took them away. They count as in use for ever, and are no longer Ready. */
void fl_regions_lose(fl_pagearena *arena, const char *start, size_t pages);

#endif
