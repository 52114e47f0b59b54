/* SPDX-License-Identifier: MIT */
/*
 * quarantine.h: the hardened build's delayed reuse. A block that is freed waits in a ring of its heap, zeroed, until so many others
 * of about its size have been freed; a large one waits inaccessible, and holds no memory meanwhile. What waits is looked at in
 * turns, and once more when its time is over: whoever has written to it is found then.
 *
 * What waits counts as live to all others, and is bounded: FL_QUARANTINE_BYTES of a heap's blocks, FL_RUNS large ones of
 * FL_QUARANTINE_RUN_BYTES. It is gathered as batches are (batches.h), with the same hand-shake: at a limit, in upkeep, by malloc_trim
 * and statistics, at the thread's end it is handed over, and nothing waits in an arena at a limit, or without a fence for all threads.
 */
#ifndef FL_QUARANTINE_H
#define FL_QUARANTINE_H

#include "heap.h"

#define FL_QUARANTINE_BLOCK_BYTES_MAX ((size_t)32 << 10) /* larger ones are free at once */
#define FL_QUARANTINE_BYTES ((size_t)384 << 10)
#define FL_QUARANTINE_RUN_BYTES ((size_t)256 << 20) /* of address space */

/* So much of a block is zeroed when it is freed, and looked at before it is somebody's again. */
#define FL_ZEROED_BYTES_MAX ((size_t)4 << 10)

#if FL_HARDENED

/* Of a heap that has none. */
void fl_quarantine_init(fl_heap *heap);

/* Puts a freed block there that is zeroed, with its end word saying that it waits. Returns what is to be freed instead, which may be
 * the block itself; NULL: nothing. */
void *fl_quarantine_put(fl_heap *heap, void *block, size_t block_bytes);

/* The same of a large block, all of it with guards; another run has to go first, and this one to be put again. */
fl_slab *fl_quarantine_put_run(fl_heap *heap, fl_slab *run);

/* Would anything be put there now? A hint. */
bool fl_quarantine_is_open(fl_heap *heap);

/* Looks at one block that waits, of about that size. */
void fl_quarantine_look(fl_heap *heap, size_t block_bytes);

/* The next block of it for who has the heap in hand as hand_over_all of batches.c has; large ones are given back on the way. NULL: there
 * are no more. */
void *fl_quarantine_take(fl_heap *heap, fl_slab **slab);

/* The end of waiting: stops the process if somebody has written to the block. It is free then, for its slab. */
void fl_quarantine_end(const fl_slab *slab, void *block);

/* Zeroes a block, as far as that is done, and says that it waits. */
void fl_quarantine_begin(const fl_slab *slab, void *block, uint64_t end_word);

/* Are these bytes zero? */
bool fl_is_zero(const void *start, size_t bytes);

/* How many of a block's bytes behind its first two words are zeroed. */
static inline size_t fl_zeroed_bytes(size_t block_bytes) {
    size_t bytes = block_bytes < FL_ZEROED_BYTES_MAX ? block_bytes : FL_ZEROED_BYTES_MAX;
    return bytes - 2 * sizeof(uint64_t) - FL_END_BYTES;
}

#else

static inline void fl_quarantine_init(fl_heap *heap) {
    (void)heap;
}
void *fl_quarantine_take(fl_heap *heap, fl_slab **slab);

#endif
#endif
