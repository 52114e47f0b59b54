/* SPDX-License-Identifier: MIT */
/*
 * checker.h: the state of every OS page, kept beside the ledger, and a stop at the first wrong move.
 *
 * For stats that ask for it (osmem_stat_check), and for all in a build with -Dchecks=2. Before a move, each
 * page of the range must be counted in the stat that the call names, and in a state that the call starts from, in exactly
 * the numbers that the caller gave; after the back end has done it, the new state is noted, and by which call.
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

/* Stops the process unless the range is the stat's and holds exactly so many bytes in each state, and none in None. */
void fl_checker_expect(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                       osmem_bytes expected);

/* Stops the process unless every page is the stat's, in any state but None. */
void fl_checker_expect_ours(const osmem_stat *stat, const void *start, size_t bytes);

/* Notes that the range is in a state now, and the stat's. From None, it must have been None. */
void fl_checker_note(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, fl_state now);

/*
 * Around a call of the back end after which the range may be None. It may be another thread's before this one has noted
 * it, so the checker's lock is held from the one to the other. moved: it is in the state `now`; else as it was.
 */
void fl_checker_begin(const osmem_stat *stat, fl_call call, const void *start, size_t bytes,
                      osmem_bytes expected);
void fl_checker_end(const osmem_stat *stat, fl_call call, const void *start, size_t bytes, bool moved,
                    fl_state now);

/* The range is another stat's from now on, in the states that it is in. */
void fl_checker_transfer(const void *start, size_t bytes, osmem_bytes expected, const osmem_stat *from,
                         const osmem_stat *to);

#if FL_CHECKS >= 2
/*
 * The state of a range's first page as a stat counts it (None also where another counts it), and in *bytes, which says how
 * long the range is, how much of it from there on is in that state. For audits: it takes no lock. Of pages that nobody moves
 * meanwhile the answer is exact, whatever is noted of others.
 */
fl_state fl_checker_state_of(const osmem_stat *stat, const void *start, size_t *bytes);
#endif

/* A back end has ended with all its memory, whatever state that was in. */
void fl_checker_forget(uintptr_t start, size_t bytes);

#endif
