/* SPDX-License-Identifier: MIT */
/*
 * stretch.h: a stretch of address space that is taken from its start, piece by piece, as it is needed.
 *
 *     start            ready                               bytes
 *       │───── Ready ────│── Reserved, or None and hoped for ──│
 *
 * fallow's own bookkeeping lies in stretches: tables that are indexed by page and must not move. Where the rest
 * belongs to nobody and somebody else is there first, growth fails, as it does when memory runs out. Threads: the
 * caller locks.
 */
#ifndef FL_STRETCH_H
#define FL_STRETCH_H

#include "fallow/osmem.h"

typedef struct fl_stretch {
    char *start;
    size_t bytes;
    size_t step_bytes; /* it grows by multiples of this; start and bytes are multiples of it too */
    size_t ready_bytes;
    size_t prepared_bytes; /* from the start on; beyond ready_bytes where a commit step was refused */
    bool reserved;         /* all of it is, from the start on */
    osmem_stat *stat;
} fl_stretch;

/* Makes at least the first `bytes` Ready. False: nothing was added. */
bool fl_stretch_grow(fl_stretch *stretch, size_t bytes) FALLOW_MUST_USE;

/* What is Prepared or Ready of a stretch that is not reserved as a whole becomes None again; what the system keeps of it stays
 * counted. */
void fl_stretch_release(fl_stretch *stretch);

#endif
