/* SPDX-License-Identifier: MIT */
/*
 * copied.h: what `fallow profile --unwind` does while it looks on: takes the copies of stacks out of the
 * process (src/profile/copies.h), wipes them there, and unwinds them; and in the end divides what each site
 * has among the full stacks of its samples.
 */
#ifndef FL_COPIED_H
#define FL_COPIED_H

#include "profiled.h"

/* Returns whether another command does this just now, or was killed while it did. */
bool fl_copied_are_being_taken(fl_target *target);

/* memory: the process's, open to be read and written, by the one command that looks on: what another left
 * that was killed is of before, and unwanted. These return false if they fail; target->wrong says why. */
bool fl_copied_begin(fl_target *target, int memory);

/* Takes out what is there. Wants to be called more often than samples fill the ring. */
bool fl_copied_take(fl_target *target);

/* Takes out the last ones; none are made, and none are left, from here on. Always after a begin. */
bool fl_copied_end(fl_target *target);

/* Returns whether another command has taken the process over meanwhile, which still wants samples. */
bool fl_copied_is_taken_over(void);

/* Divides a profile of the same process, read after the end: what samples with a full stack are of is of that
 * stack; the rest stays at the site. Sums stay as they are. `before` is not in it any more. */
void fl_copied_divide(fl_target *target, fl_profile *profile);

#endif
