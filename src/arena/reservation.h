/* SPDX-License-Identifier: MIT */
/*
 * reservation.h: a reservation of address space that becomes Ready from its start, piece by piece, as it is
 * needed.
 *
 *     start            ready                               bytes
 *       │───── Ready ────│── Reserved, or None and hoped for ──│
 *
 * fallow's own bookkeeping lies in reservations: tables that are indexed by page and must not move. If the
 * rest is not reserved and somebody else is there first, growth fails, as it does when memory runs out.
 * Threads: the caller locks.
 */
#ifndef FL_RESERVATION_H
#define FL_RESERVATION_H

#include "fallow/osmem.h"

typedef struct fl_reservation {
    char *start;
    size_t bytes;
    size_t step_bytes; /* it grows by multiples of this; start and bytes are multiples of it too */
    size_t ready_bytes;
    size_t prepared_bytes; /* from the start on; beyond ready_bytes if a commit step was refused */
    bool reserved;         /* all of it is, from the start on */
    osmem_stat *stat;
} fl_reservation;

/* Makes at least the first `bytes` Ready. Returns false if nothing was added. */
bool fl_reservation_grow(fl_reservation *reservation, size_t bytes) FALLOW_MUST_USE;

/* Makes None what is Prepared or Ready of a reservation that is not reserved as a whole; what the system
 * keeps of it stays counted. */
void fl_reservation_release(fl_reservation *reservation);

#endif
