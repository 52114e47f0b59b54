/* SPDX-License-Identifier: MIT */
/*
 * tally.h: how many live blocks touch each unit of an abandoned slab in an arena at a limit. So a free knows
 * whether it has emptied a unit, and nobody looks through a slab in vain.
 *
 * Whoever looks through a slab sets its tally. From then on, whoever takes a block of it adds one to each
 * unit that the block touches, and whoever frees one takes one off, after the push. A tally may be too low:
 * for a moment; for good where the push came just before the look and was taken off after it; or where there
 * is no room for more. A free may then report an idle unit that is none. But for frees that are under way, it
 * must never be too high: an idle page would stay where somebody at the limit wants one. So of a slab into
 * which somebody pushed during the look, which may have missed that block, nothing is known.
 *
 * A tally holds as long as its slab has no owner and the arena is scarce without a break. Tallies belong to a
 * region: a byte for each unit, 2 KiB in all with OS pages of 4 KiB, made when the first is set, never given
 * back. Audits recount them (slab_audit.h).
 *
 * Threads: any. The bytes are atomic. A push that comes after a look reads, from the slab's word, what the
 * looker has left there, and so finds the tally.
 */
#ifndef FL_TALLY_H
#define FL_TALLY_H

#include "../arena/scarce.h"
#include "liveblocks.h"

/* Sets the tally of a claimed slab after a look: so many live blocks touch each unit. Caller has the arena's
 * upkeep. */
void fl_tally_set(const fl_slab *slab, const uint32_t *live);

/* From now on nothing is known of the slab that starts there. */
void fl_tally_forget(const char *start);

/* A block of a claimed slab is handed out. Returns whether the slab has a tally. */
bool fl_tally_take(const fl_slab *slab, const void *block);

/* Blocks from `first` to `last` have been pushed into the abandoned slab that started there; by now another
 * may. Returns whether a unit of it may be idle. */
bool fl_tally_free(const fl_pagearena *arena, const char *start, const char *first, const char *last);

/* May a unit of an abandoned slab be idle? A hint, unless the caller has claimed the slab. */
bool fl_tally_allows_idle(const fl_slab *slab);

#if FL_CHECKS >= 2
/* Returns what a unit's tally says; 0: no more than that nothing is known. */
unsigned fl_tally_of(const fl_slab *slab, size_t unit);
#endif

#endif
