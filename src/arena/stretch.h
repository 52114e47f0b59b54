/* SPDX-License-Identifier: MIT */
/*
 * stretch.h: a stretch of address space that is taken from its start, piece by piece, as it is needed.
 *
 *     start        ready             reserved                      bytes
 *       │── Ready ───│──── Reserved ────│── None, and we hope for it ──│
 *
 * fallow's own bookkeeping lies in stretches: tables that are indexed by page and must not move. The part
 * that is not yet reserved belongs to nobody; should somebody else be there first, growth fails there, as
 * it does when memory runs out. Threads: the caller locks.
 */
#ifndef FL_STRETCH_H
#define FL_STRETCH_H

#include "fallow/osmem.h"

typedef struct fl_stretch {
    char *start;
    size_t bytes;
    size_t reserved_bytes;
    size_t ready_bytes;
    osmem_stat *stat;
} fl_stretch;

/* Makes at least the first `bytes` Ready, in steps of whole step_bytes. False: nothing usable was added. */
bool fl_stretch_grow(fl_stretch *stretch, size_t bytes, size_t step_bytes) FALLOW_MUST_USE;

/* Reserves [start, start + bytes) exactly there. OSMEM_UNSUPPORTED: somebody else sits there; OSMEM_NOMEM:
 * the system has no address space left. */
osmem_result fl_reserve_exactly(char *start, size_t bytes, osmem_stat *stat) FALLOW_MUST_USE;

#endif
