/* SPDX-License-Identifier: MIT */
/*
 * carve.h: slabs from spans, and blocks from what of a slab was never handed out: a few at a time, in the order of their
 * addresses, so that no more memory is touched, or made Ready, than is about to be used.
 */
#ifndef FL_CARVE_H
#define FL_CARVE_H

#include "../arena/pagearena.h"
#include "descriptors.h"

/* A new slab for an owner, CURRENT, with nothing carved; of a span that the owner kept, or a new one. */
fl_slab *fl_slab_new(struct fallow_arena *arena, unsigned size_class, uint32_t tag, fl_kept *kept);

/* Carves a few more blocks into the free list of an owned slab, lowest first. False: all are carved; or there is no memory for
 * them, and *shortage, which is FL_REFUSED_NEVER before, says why (heed_soft: see fl_pagearena_charge). */
bool fl_slab_carve(fl_slab *slab, bool heed_soft, fl_shortage *shortage);

/*
 * The next block that was never handed out, if it is the first that starts in its OS page: it reads as zero, and taking it
 * touches nothing, so that the page fault is in the program's first use of it and not in here. NULL: there is no such block
 * at hand; or, as above, no memory for it.
 */
void *fl_slab_pop_fresh(fl_slab *slab, bool heed_soft, fl_shortage *shortage);

#endif
