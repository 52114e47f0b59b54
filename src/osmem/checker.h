/* SPDX-License-Identifier: MIT */
/*
 * checker.h: records the state of every OS page beside the ledger, and stops the process at the first wrong
 * move.
 *
 * It works for stats that ask for it (osmem_stat_check), and for all stats in a build with -Dchecks=2. Before
 * a move, each page of the range must be counted in the stat that the call names and be in a state that the
 * call starts from, in exactly the amounts that the caller gave. After the back end has made the move, the
 * checker records the new state and the call that led to it.
 */
#ifndef FL_CHECKER_H
#define FL_CHECKER_H

#include "fallow/osmem.h"
#include "state.h"

/* The calls, for the report: "the page was last moved by". */
typedef enum fl_call {
    FL_CALL_NONE,
    FL_CALL_ALLOC,
    FL_CALL_RESERVE,
    FL_CALL_PREPARE,
    FL_CALL_MAP,
    FL_CALL_USED,
    FL_CALL_UNUSED,
    FL_CALL_UNMAP,
    FL_CALL_FAULT,
    FL_CALL_FREE,
    FL_CALL_HINT,
    FL_CALL_MOVE,
    FL_CALL_TRANSFER
} fl_call;

/* Stops the process unless the range is the stat's and holds exactly so many bytes in each state, and none in
 * None. */
void fl_checker_expect(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                       osmem_bytes expected);

/* Stops the process unless every page is the stat's, in any state but None. */
void fl_checker_expect_ours(const osmem_stat *stat, const void *start, size_t bytes);

/* Records that the range is now the stat's, in a state. A call that starts from None requires that it was
 * None. */
void fl_checker_note(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, fl_state now);

/*
 * Bracket a call of the back end that may leave the range None. The range may be another thread's before this
 * thread has recorded that, so the checker's lock is held from the first call to the second. If `moved`, the
 * range is in state `now`; else it is as it was.
 */
void fl_checker_begin(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                      osmem_bytes expected);
void fl_checker_end(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, bool moved,
                    fl_state now);

/* Makes the range another stat's; its pages keep their states. */
void fl_checker_transfer(const void *start, size_t bytes, osmem_bytes expected, const osmem_stat *from,
                         const osmem_stat *to);

#if FL_CHECKS >= 2
/*
 * Returns the state of a range's first page as a stat counts it (None if another stat counts it). *bytes is
 * the range's length, and becomes the length of the run from there on that is in that state. For audits: it
 * takes no lock. The answer is exact for pages that nobody moves meanwhile, whatever is recorded of others.
 */
fl_state fl_checker_state_of(const osmem_stat *stat, const void *start, size_t *bytes);
#endif

/* Forgets the memory of a back end that has ended, whatever state it was in. */
void fl_checker_forget(uintptr_t start, size_t bytes);

#endif
