/* SPDX-License-Identifier: MIT */
/*
 * regions.h: the ground of an arena: how it gets regions, and gives empty ones back. (growth.h maps their
 * chunks as they are needed.)
 */
#ifndef FL_REGIONS_H
#define FL_REGIONS_H

#include "pagearena.h"

/* Regions: callers hold the arena's ground lock, and its lock too unless stated otherwise. */

/* Adds regions with at least so many free pages side by side, nothing mapped yet. Returns false if there are
 * no addresses, or no memory for bookkeeping. The caller does not hold the arena's lock. */
bool fl_regions_add(fl_pagearena *arena, size_t pages);

/* Gives commit charge back: mapped chunks with every page free and Prepared become Reserved again, or None.
 * Returns how many did. */
size_t fl_regions_unmap_spare(fl_pagearena *arena);

/* Takes a region with no page in use and none idle out of the arena. If true, it is the caller's, who
 * releases it. */
bool fl_region_leave_if_empty(fl_pagearena *arena, fl_region *region);

/* Takes any region out of an arena that comes to its end; returns NULL if none is left. Without the arena's
 * lock: nobody is in it. */
fl_region *fl_region_leave_at_end(fl_pagearena *arena);

/*
 * Makes None as much of a region that has left as the system allows, and gives the region to the window;
 * without the arena's lock. What the system keeps is tried again when the next region is released, and stays
 * for the next arena that takes the region.
 */
void fl_region_release(fl_pagearena *arena, fl_region *region);

/* Pages: callers hold the arena's lock alone. */

/* Sets what of a region counts as changed (scarce.h): puts it into the list of such regions, or (0) takes it
 * out. */
void fl_region_set_changed(fl_pagearena *arena, fl_region *region, uint64_t groups);

/* Counts those of a region's pages that the system keeps as idle again. */
void fl_pagearena_unkeep(fl_pagearena *arena, fl_region *region, size_t first, size_t pages);

/*
 * Makes all granted pages of the arena Ready, except those recorded as Prepared. Among them are pages that a
 * thread which is not in the child of a fork had in hand before they were Ready; no book tells which. For the
 * end of all that is granted, with nothing left in the page map. Counts without a look at limits: all of it
 * goes in a moment. Stops the process if the system refuses.
 */
void fl_regions_ready_granted(fl_pagearena *arena);

/* Records that granted pages are None: the system took them away. They count as in use for ever, and no
 * longer as Ready. */
void fl_regions_lose(fl_pagearena *arena, const char *start, size_t pages);

#endif
