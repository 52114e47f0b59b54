/* SPDX-License-Identifier: MIT */
/*
 * ledger.h: osmem's counters, and the one lock that keeps them consistent with each other.
 *
 * Only osmem.c calls this, and only once the back end has done what is being counted.
 */
#ifndef FL_LEDGER_H
#define FL_LEDGER_H

#include "fallow/osmem.h"
#include "state.h"

/* Takes bytes out of a stat and all its parents and puts others in, in one step. */
void fl_ledger_change(osmem_stat *stat, osmem_bytes out, osmem_bytes in);

/* Moves bytes from one state to another. */
static inline void fl_ledger_move(osmem_stat *stat, fl_state from, fl_state to, size_t bytes) {
    if (bytes)
        fl_ledger_change(stat, fl_bytes_in(from, bytes), fl_bytes_in(to, bytes));
}

#endif
