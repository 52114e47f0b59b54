/* SPDX-License-Identifier: MIT */
/*
 * slab_audit.h: audits a single slab. A block below `carved` is live, or in one of two lists (what its owner
 * freed, what others freed), or touches a decommitted unit; the counts must agree, and at a limit no tally be
 * too high. Stops the process at the first contradiction. Only checking builds have it.
 */
#ifndef FL_SLAB_AUDIT_H
#define FL_SLAB_AUDIT_H

#include "slab.h"

#if FL_CHECKS >= 2

/* Audits a slab's lists, counts and decommitted units. The slab is in any state but DEAD, and neither its
 * owner nor a claimer is in the middle of anything. */
void fl_audit_slab(const fl_slab *slab);

/* Checks that the page map's entries of all its pages are the slab's, with this tag. */
void fl_audit_entries(const fl_slab *slab, uint32_t tag);

#endif

#endif
