/* SPDX-License-Identifier: MIT */
/*
 * growth.h: maps chunks of an arena's regions as their pages are needed: from None, or Reserved, to Prepared.
 *
 * A step of growth marks its chunks as growing, drops the arena's lock, asks the system, and publishes the
 * result. That is one system call as a rule, and more where a region is reserved first, where the step is
 * refused and tried shorter, or where the system is advised or told a name. Threads that are granted pages,
 * or return some, do not wait for it. One thread at a time grows in an arena; it holds the ground lock all
 * the while, so that no region leaves meanwhile and fork finds none half-way.
 *
 * Steps double with what the arena has mapped, from 128 KiB to 4 MiB: so an arena of one block costs little
 * commit charge, and a large one few calls. A run that needs more is still one step.
 */
#ifndef FL_GROWTH_H
#define FL_GROWTH_H

#include "pagearena.h"

/* Returns whether all of a run of pages is mapped. Caller holds the arena's lock. */
bool fl_growth_is_done(size_t page, size_t pages);

/*
 * Takes one step towards a run of free pages of the arena that is not mapped in full; if all of it can be
 * had, some beyond it too. Returns OSMEM_OK, or OSMEM_TAKEN if somebody else sits in a chunk, which from now
 * on counts as in use; after either, look again: others may have been granted what was free before. Returns
 * OSMEM_NOMEM: not now. Caller holds the ground lock and the arena's, which the step drops and takes again.
 */
osmem_result fl_growth_step(fl_pagearena *arena, size_t page, size_t pages, fl_how how);

#endif
