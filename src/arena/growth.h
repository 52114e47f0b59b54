/* SPDX-License-Identifier: MIT */
/*
 * growth.h: finds free pages, address-ordered first fit, by the arena's tree; and maps chunks of its regions
 * as these are needed: from None, or Reserved, to Prepared.
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

/* Both: the caller holds the arena's lock, which is dropped meanwhile if chunks have to be mapped. Whatever
 * the caller saw before may have changed; the run that they end with is free, and mapped in full. */

/* Finds the lowest free run of so many pages at an alignment; maps what of it is not mapped. Returns its
 * first page; FL_PAGEBITS_NONE if the system has no memory. */
size_t fl_growth_find(fl_pagearena *arena, size_t pages, size_t alignment, fl_how how);

/* The same for that run and no other. Returns false if its pages are not free, or the system has no
 * memory. */
bool fl_growth_into(fl_pagearena *arena, size_t page, size_t pages);

#endif
