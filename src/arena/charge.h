/* SPDX-License-Identifier: MIT */
/*
 * charge.h: what counts for limits, and whether there is room below them. A hard limit is never exceeded, not for a moment: what
 * becomes Ready is counted first. What to do where there is no room: grant.h.
 *
 * Threads: any. Who counts holds the lock of the arena whose bytes they are, so that an arena that goes to another parent (family.h) finds
 * all counted or nothing; those above it are counted without theirs, one after the other: who looks meanwhile sees too much.
 */
#ifndef FL_CHARGE_H
#define FL_CHARGE_H

#include "pagearena.h"

/* The Ready bytes of all arenas together, and the limits on them; see grant.h. */
extern _Atomic size_t fl_process_ready_bytes;
extern _Atomic size_t fl_process_hard_bytes;
extern _Atomic size_t fl_process_soft_bytes;

/* So many bytes are Ready that were not, or the other way: for the limits of all who count them. */
void fl_pagearena_count_ready(fl_pagearena *arena, size_t bytes, bool more);

/*
 * Counts so many Ready bytes more, where no limit is in the way; false: nothing is counted, and *shortage says which is. With
 * heed_soft, a soft limit that is exceeded while pages are idle is in the way as well.
 */
bool fl_pagearena_charge(fl_pagearena *arena, size_t bytes, bool heed_soft, fl_shortage *shortage);

/* Would no hard limit be in the way of so many bytes? A hint; false: *shortage says which would. */
bool fl_pagearena_has_room(fl_pagearena *arena, size_t bytes, fl_shortage *shortage);

/*
 * So many idle bytes of an arena are to go for the sake of a soft limit: the arena's, of one above it, the process's, whichever is
 * exceeded most. What is in use may exceed it alone, though nobody has touched all of that: to give back whatever becomes idle,
 * each time, would then cost a fault for each page used and gain nothing. So there is a grace, which doubles with each give-back
 * in vain, for a second.
 */
size_t fl_pagearena_soft_excess(const fl_pagearena *arena);

/* So many bytes of it have gone. */
void fl_pagearena_soft_given(fl_pagearena *arena, size_t bytes, uint64_t now_ns);

/* The same in one arena of those that count them. Notes for its owner where that has crossed its soft limit; so may bytes do that a hard
 * limit refuses then: whoever is about to ask looks again. */
void fl_pagearena_count_in_family(fl_pagearena *arena, size_t bytes, bool more);

/* To be called when an arena has another soft limit, or another owner to ask: is it exceeded already? */
void fl_pagearena_look_at_soft(fl_pagearena *arena);

/* Has any soft limit been crossed whose owner is to be asked? */
extern _Atomic bool fl_soft_limit_crossed;

#endif
