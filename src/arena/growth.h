/* SPDX-License-Identifier: MIT */
/*
 * growth.h: how chunks of an arena's regions become mapped, as their pages are needed: from None, or Reserved, to Prepared.
 *
 * A step of growth is one system call: it marks its chunks as growing, lets go of the arena's lock, asks the system, and
 * publishes what came of it. Who is granted pages, or returns some, does not wait for it. One thread at a time grows in an
 * arena: it holds the ground lock all the while, so that no region leaves meanwhile and fork finds none half-way.
 *
 * Steps double with what the arena has mapped, from 128 KiB to 4 MiB: an arena of one block costs no more commit charge than
 * that, and a large one no more than a call for 4 MiB. A run that needs more is one step all the same.
 */
#ifndef FL_GROWTH_H
#define FL_GROWTH_H

#include "pagearena.h"

/* Is all of a run of pages mapped? Under the arena's lock. */
bool fl_growth_is_done(size_t page, size_t pages);

/*
 * One step towards a run of free pages of the arena that is not mapped in full; where all of it can be had, and some beyond.
 * OSMEM_OK, or OSMEM_TAKEN (somebody else sits in a chunk, which counts as in use from now on): others may have been granted
 * what was free before, look again. OSMEM_NOMEM: not now. Under the ground lock and the arena's, which it lets go of in between.
 */
osmem_result fl_growth_step(fl_pagearena *arena, size_t page, size_t pages, fl_how how);

#endif
