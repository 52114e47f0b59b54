/* SPDX-License-Identifier: MIT */
/*
 * traps.h: hands out and frees blocks in traps (trap.h), for the process's arena. After a free, a trap waits,
 * inaccessible, until every trap that was freed before it has been used again.
 *
 * Makes only memory's system calls, one for an allocation and two for a free, with the lock of traps held.
 * Ready pages of traps count towards the arena's limits.
 *
 * Threads: any.
 */
#ifndef FL_TRAPS_H
#define FL_TRAPS_H

#include "trap.h"

/* Returns a block of so many bytes. It is aligned to 16, and to any power of two up to the OS page that
 * divides its size. `frame` is where its calls begin. Returns NULL if the block does not fit a trap, no trap
 * is free, memory is out, or a limit is in the way. */
void *fl_trap_alloc(struct fallow_arena *arena, size_t bytes, const void *frame);

/* Frees a block, at an address for which fl_trap_near finds a trap. Stops the process if it is no live block,
 * or if something was written beside it. */
void fl_trap_free(void *block);

/* Returns the descriptor of a live block, or NULL if the address has nothing to do with traps. Stops the
 * process if it has, but is no live block; `doing` says what was asked. */
fl_slab *fl_trap_slab(const void *block, const char *doing);

typedef struct fl_traps_seen {
    size_t live_bytes; /* pages of live blocks */
    size_t live_blocks;
    size_t stuck_bytes; /* pages of freed blocks that the system keeps */
} fl_traps_seen;

fl_traps_seen fl_traps_see(void);

#endif
