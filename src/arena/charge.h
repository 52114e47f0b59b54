/* SPDX-License-Identifier: MIT */
/*
 * charge.h: counts what limits are about, and says whether there is room below them. A hard limit is never
 * exceeded, not for a moment: bytes are counted before they become Ready. grant.h does what is to be done
 * where there is no room.
 *
 * Threads: any. A caller that counts holds the lock of the arena whose bytes they are, so an arena that goes
 * to another parent (family.h) finds all of them counted or none. The arenas above are counted one after the
 * other, without their locks: a reader meanwhile sees too much.
 */
#ifndef FL_CHARGE_H
#define FL_CHARGE_H

#include "pagearena.h"

/* The Ready bytes of all arenas together; what is counted of the process, and the limits on these bytes:
 * SIZE_MAX is none; see grant.h. */
extern _Atomic size_t fl_process_ready_bytes;

#define FL_PROCESS_COUNTER(unused, name, kind, help) _Atomic size_t name;
typedef struct fl_process_counters {
    FL_PROCESS_COUNTERS(FL_PROCESS_COUNTER, )
} fl_process_counters;
extern fl_process_counters fl_the_process;

/* Counts bytes that became Ready, or no longer are, for the limits of all who count them. */
void fl_pagearena_count_ready(fl_pagearena *arena, size_t bytes, bool more);

/*
 * Counts bytes that are about to become Ready, unless a limit is in the way: then it returns false, counts
 * nothing, and *shortage says which limit. With heed_soft, a soft limit that is exceeded while pages are idle
 * is in the way too.
 */
bool fl_pagearena_charge(fl_pagearena *arena, size_t bytes, bool heed_soft, fl_shortage *shortage);

/* Returns whether no hard limit is in the way of so many bytes; if false, *shortage says which is. A hint. */
bool fl_pagearena_has_room(fl_pagearena *arena, size_t bytes, fl_shortage *shortage);

/*
 * Returns how many idle bytes of an arena are to go for the sake of a soft limit: the arena's, one above it,
 * or the process's, whichever is exceeded most. What is in use may exceed the limit alone, though nobody has
 * touched all of that. To give back whatever becomes idle would then cost a fault for each page used, every
 * time, and gain nothing; so there is a grace, which doubles with each give-back in vain, for a second.
 */
size_t fl_pagearena_soft_excess(const fl_pagearena *arena);

/* Records that so many of these bytes have gone. */
void fl_pagearena_soft_given(fl_pagearena *arena, size_t bytes, uint64_t now_ns);

/* Does the same in one of the arenas that count these bytes. Records for the arena's shedder whether they
 * cross its soft limit, or where it is to be asked again above that (shed.h). They may be bytes that a hard
 * limit then refuses: whoever asks the shedder looks again. */
void fl_pagearena_count_in_family(fl_pagearena *arena, size_t bytes, bool more);

/* Records the same of a soft limit that has just been lowered, or whose shedder has just been set, if it
 * is exceeded already. */
void fl_pagearena_look_at_soft(fl_pagearena *arena);

/* Whether a soft limit has been crossed whose shedder is to be asked. */
extern _Atomic bool fl_soft_limit_crossed;

#endif
