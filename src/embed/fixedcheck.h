/* SPDX-License-Identifier: MIT */
/*
 * fixedcheck.h: checks whether all that stands in a fixed allocator's memory agrees.
 */
#ifndef FL_FIXEDCHECK_H
#define FL_FIXEDCHECK_H

#include "fixedbooks.h"

/* Looks at each chunk; for open, and for a call that finds what it cannot explain. Caller holds the lock. */
bool fl_fixed_is_sound(const fallow_fixed *fixed);

/* Returns the chunk behind, if this one can be what it says behind one that is in use (before:
 * PREVIOUS_IN_USE) or not (0); else 0. */
size_t fl_fixed_behind(const fallow_fixed *fixed, size_t chunk, size_t before);

/* Returns what the chunk behind has to say of this one. */
size_t fl_fixed_bit_behind(const fallow_fixed *fixed, size_t chunk);

/* Goes from one chunk in a list to the next, from 0 to the first. Returns false at the end, with *chunk 0, or
 * if what is there is not what a list holds. As each names the one before it, none comes twice. */
bool fl_fixed_next_in_list(const fallow_fixed *fixed, unsigned list, size_t *chunk);

/* Returns whether what is lost can lie where it is said to. */
bool fl_fixed_is_lost_possible(const fallow_fixed *fixed);

#endif
