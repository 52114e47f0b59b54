/* SPDX-License-Identifier: MIT */
/*
 * carve.h: makes slabs of spans, and carves blocks from the part of a slab that was never handed out: a few
 * at a time, in the order of their addresses, so that no more memory is touched or made Ready than is about
 * to be used.
 */
#ifndef FL_CARVE_H
#define FL_CARVE_H

#include "../arena/pagearena.h"
#include "descriptors.h"

/* Makes a slab for an owner, CURRENT and with nothing carved, of a span that the owner kept or a new one. */
fl_slab *fl_slab_new(struct fallow_arena *arena, unsigned size_class, uint32_t tag, fl_kept *kept);

/* Carves a few more blocks into the free list of an owned slab, lowest first. Returns false if all are
 * carved, or if there is no memory for them: then *shortage, FL_REFUSED_NEVER before the call, says why.
 * heed_soft: see fl_pagearena_charge. */
bool fl_slab_carve(fl_slab *slab, bool heed_soft, fl_shortage *shortage);

/*
 * Returns the next block that was never handed out, if it is the first to start in its OS page. It reads as
 * zero, and taking it touches nothing, so the page fault comes with the program's first use of it and not
 * here. Returns NULL if there is no such block at hand, or, as above, no memory for it.
 */
void *fl_slab_pop_fresh(fl_slab *slab, bool heed_soft, fl_shortage *shortage);

#endif
