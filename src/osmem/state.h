/* SPDX-License-Identifier: MIT */
/* state.h: names the four states, for what counts them (ledger.h) and what checks them (checker.h). */
#ifndef FL_STATE_H
#define FL_STATE_H

#include "fallow/osmem.h"

typedef enum fl_state { FL_NONE, FL_RESERVED, FL_PREPARED, FL_READY } fl_state;

/* Returns the bytes as all being in one state. */
static inline osmem_bytes fl_bytes_in(fl_state state, size_t bytes) {
    return (osmem_bytes){.reserved = state == FL_RESERVED ? bytes : 0,
                         .prepared = state == FL_PREPARED ? bytes : 0,
                         .ready = state == FL_READY ? bytes : 0};
}

#endif
