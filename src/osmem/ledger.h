/* SPDX-License-Identifier: MIT */
/*
 * ledger.h: the counters of osmem, and the one lock that makes them consistent with each other.
 *
 * Only osmem.c calls this, and only after the back end has done what is being counted.
 */
#ifndef FL_LEDGER_H
#define FL_LEDGER_H

#include "fallow/osmem.h"
#include "state.h"

/* Moves bytes from one state to another, in a stat and all its parents. */
void fl_ledger_move(osmem_stat *stat, fl_state from, fl_state to, size_t bytes);

/* Takes bytes out of (sign -1) or into (sign +1) a stat and all its parents. */
void fl_ledger_add(osmem_stat *stat, osmem_bytes by_state, int sign);

#endif
