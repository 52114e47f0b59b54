/* SPDX-License-Identifier: MIT */
/*
 * slab_audit.h: one slab in itself. A block below `carved` is live, or in one of two lists (of what its owner freed, of what
 * others did), or touches a unit that is decommitted; the counts must say the same. It stops the process at the first two entries that
 * contradict each other. For checking builds; others have none of it.
 */
#ifndef FL_SLAB_AUDIT_H
#define FL_SLAB_AUDIT_H

#include "slab.h"

#if FL_CHECKS >= 2

/* A slab in itself: lists, counts, units that are decommitted. Of one in any state but DEAD that is in nobody's hands: neither its owner
 * nor who has claimed it is in the middle of anything. */
void fl_audit_slab(const fl_slab *slab);

/* The entries of all its pages in the table are the slab's, with this tag. */
void fl_audit_entries(const fl_slab *slab, uint32_t tag);

#endif

#endif
